"""The real program, `fewshot index build | add | delete | compact` on pictures, killed at random times.

`python index_kills.py --times 5` prints the counts as JSON. With `--fork` the program is not started anew each time but
forked from this process, which has its packages loaded: many more kills a minute.
"""

import argparse
import contextlib
import io
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from index_crashes import version
from index_scenarios import Lie, check_tidy, files_on_disk, state_of
from PIL import Image

from fewshot import create_backbone
from fewshot.cli import main as main_command
from fewshot.errors import FewshotError
from fewshot.retrieval.store import read_manifest
from fewshot.retrieval.verify import verify

BACKBONE = "fewshot:raw-pixels"


def paint(folder: Path, names: range, seed: int) -> set[str]:
    draw = np.random.default_rng(seed)
    for number in names:
        Image.fromarray(draw.integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(folder / f"{number:04d}.png")
    return {f"{number:04d}.png" for number in names}


class Forked:
    """The program in a child of this process, with the little of `Popen` that is needed here."""

    def __init__(self, arguments: list[str]) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                silent = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silent, 1)
                os.dup2(silent, 2)
                main_command(["index", *arguments], prog_name="fewshot")
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 0
            finally:
                os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        while self.poll() is None:
            time.sleep(0.002)
        return int(self.returncode or 0)

    def communicate(self) -> tuple[str, str]:
        self.wait()
        return "", ""


FORK = False


def start(*arguments: str) -> subprocess.Popen | Forked:
    if FORK:
        return Forked(list(arguments))
    return subprocess.Popen(
        [sys.executable, "-m", "fewshot", "index", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def stamp(folder: Path) -> tuple:
    """Changes as soon as a command writes."""
    return tuple((name, (folder / name).stat().st_mtime_ns) for name in ("lock",) if (folder / name).exists())


def killed_until_done(
    folder: Path, arguments: list[str], states: list[set[str]], times: int, draw: random.Random
) -> Counter:
    """Kill the command `times` times while it writes, then let it end; whenever, the old or the new state holds."""
    ended: Counter[str] = Counter()
    saved, begun, took = folder.with_name("saved"), version(folder), math.inf
    if folder.exists():
        shutil.copytree(folder, saved)
    for _ in range(times + 1):
        if version(folder) > begun:  # it came through: once more from where it began
            shutil.rmtree(folder)
            if saved.exists():
                shutil.copytree(saved, folder)
        before = stamp(folder)
        process = start(*arguments)
        while process.poll() is None and stamp(folder) == before:
            time.sleep(0.001)
        began = time.monotonic()
        wait = took if took == math.inf else draw.uniform(0, took)
        while process.poll() is None and time.monotonic() < began + wait:
            time.sleep(0.0005)
        running = process.poll() is None
        process.kill()
        process.wait()
        if not running:  # so long does it take; the first time it is let to its end
            took = (time.monotonic() - began) if took == math.inf else max(took, time.monotonic() - began)
        check(folder, states)
        ended["killed" if running else "done before"] += 1
        if running:
            ended[f"{arguments[0]}: {'new' if version(folder) > begun else 'old'} state"] += 1
    shutil.rmtree(saved, ignore_errors=True)
    process = start(*arguments)
    _, said = process.communicate()
    if process.returncode and check(folder, states) != states[-1]:
        raise Lie(f"{arguments[0]} does not go on: {said}")
    if check(folder, states) != states[-1]:
        raise Lie(f"{arguments[0]} was acknowledged and is lost")
    return ended


def check(folder: Path, states: list[set[str]]) -> set[str]:
    found = state_of(folder)
    keys = set() if found is None else set(found)
    if keys not in states:
        raise Lie(f"{len(keys)} items, not {[len(state) for state in states]}")
    if found is not None:
        report = verify(folder, sample=10, backbone=create_backbone(BACKBONE))
        if not report.ok:
            raise Lie(f"verify says {report.problems}")
    return keys


def life(times: int, seed: int) -> Counter:
    """One index from its build to its compaction, killed `times` times on every stretch."""
    draw, ended = random.Random(seed), Counter()
    with tempfile.TemporaryDirectory() as place:
        photos, folder = Path(place, "photos"), Path(place, "index")
        photos.mkdir()
        first = paint(photos, range(300), seed)
        how = ["--backbone", BACKBONE, "--shard-rows", "40"]
        build = ["build", str(photos), str(folder), "--yes", *how]
        ended += killed_until_done(folder, build, [set(), first], times, draw)
        more = first | paint(photos, range(300, 400), seed + 1)
        add = ["add", str(folder), str(photos), *how]
        ended += killed_until_done(folder, add, [first, more], times, draw)
        less = {key for key in more if not key.startswith("000")}
        gone = [part for key in sorted(more - less) for part in ("--key", key)]
        ended += killed_until_done(folder, ["delete", str(folder), *gone], [more, less], times, draw)
        ended += killed_until_done(folder, ["compact", str(folder)], [less], times, draw)
        again = start(*add)  # what the last writer left is swept, and what was deleted comes back
        again.wait()
        check(folder, [more])
        check_tidy(folder)
        if read_manifest(folder).next_id < 410 or not files_on_disk(folder):
            raise Lie("ids were used again")
    return ended


def warm_up() -> None:
    """Load here, once, what every child would load."""
    with tempfile.TemporaryDirectory() as place:
        photos, folder = Path(place, "photos"), Path(place, "index")
        photos.mkdir()
        paint(photos, range(12), 0)
        for command in (
            ["build", str(photos), str(folder), "--yes", "--backbone", BACKBONE],
            ["delete", str(folder), "--key", "0003.png"],
            ["add", str(folder), str(photos)],
            ["compact", str(folder)],
        ):
            with contextlib.redirect_stdout(io.StringIO()):
                main_command(["index", *command], standalone_mode=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="kills a command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lives", type=int, default=1, help="indexes, one after another")
    parser.add_argument("--fork", action="store_true")
    given = parser.parse_args()
    global FORK
    FORK = given.fork
    if FORK:
        warm_up()
    began = time.perf_counter()
    lost, ended = [], Counter[str]()
    try:
        for number in range(given.lives):
            ended += life(given.times, given.seed + number)
    except (Lie, FewshotError) as error:
        lost = [str(error)]
    print(json.dumps({**ended, "lost": len(lost), "told": lost, "seconds": round(time.perf_counter() - began, 1)}))
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
