"""Every command stopped at every step: killed, killed twice, killed with its unflushed files torn, or out of disk.

`python index_crashes.py --out FILE` runs the whole grid and writes the counts as JSON.
"""

import argparse
import errno
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from index_scenarios import SCENARIOS, Lie, Scenario, check_tidy, check_truth, forked, state_of

from fewshot.errors import FewshotError
from fewshot.retrieval.store import has_manifest, read_manifest, writing

KILLED, REFUSED, DONE = "killed", "refused", "done"
WAYS = ("kill", "kill twice", "torn", "full disk")
FALLIBLE = {"made", "written", "block written", "flushed", "renamed"}  # steps at which a full disk shows


def steps_of(scenario: Scenario, folder: Path) -> list[str]:
    """The names of all steps of a scenario, counted in a child."""
    scenario.prepare(folder)
    count = folder.parent / "steps"
    if (ended := in_child(lambda: os.environ.update(FEWSHOT_CRASH_COUNT=str(count)) or scenario.act(folder))) != DONE:
        raise Lie(f"{scenario.name} {ended} without any fault")
    return count.read_text().splitlines()


def run_point(scenario: Scenario, folder: Path, how: str, point: int, steps: int) -> str:
    """Stop a scenario at its step `point`, check what is there, let the command go on, and check again."""
    scenario.prepare(folder)
    before, begun = state_of(folder), version(folder)
    if how == "kill twice":  # the second time while it takes up what the first has left
        first = random.Random(point).randrange(1, steps + 1)
        in_child(lambda: _with_fault("kill", first, folder, lambda: scenario.act(folder)))
        _check_either(scenario, folder, begun)
    ended = in_child(lambda: _with_fault(how, point, folder, lambda: scenario.act(folder)))
    found = _check_either(scenario, folder, begun)
    if ended == DONE and version(folder) == begun:
        raise Lie("it was acknowledged and is lost")
    told = f"{ended}, {'old' if version(folder) == begun else 'new'}"
    _go_on(scenario, folder, found)
    check_truth(folder, scenario.after)
    check_tidy(folder)
    kept = [key for key in before or {} if scenario.before and scenario.before.get(key) == scenario.after.get(key)]
    now = state_of(folder) or {}
    if any(now[key] != (before or {})[key] for key in kept):
        raise Lie("an id has changed")
    return told


def _check_either(scenario: Scenario, folder: Path, begun: int) -> dict[str, int] | None:
    """The old state holds, or the new one, by the version that is published."""
    found = state_of(folder)
    if version(folder) > begun:
        check_truth(folder, scenario.after)
    elif scenario.before is not None:
        check_truth(folder, scenario.before)
    elif found is not None:
        raise Lie("there is an index, and none was published")
    return found


def version(folder: Path) -> int:
    return read_manifest(folder).generation if has_manifest(folder) else 0


def _go_on(scenario: Scenario, folder: Path, found: dict[str, int] | None) -> None:
    if (ended := in_child(lambda: scenario.act(folder))) == DONE:
        return
    # what is done already is refused: a build of an index that is there, a deletion of items that are gone
    if scenario.name not in ("build", "build from vectors", "delete") or found is None:
        raise Lie(f"it does not go on: {ended}")
    if set(found) != set(scenario.after):
        raise Lie(f"it does not go on: {ended}")
    if scenario.name != "delete":
        _sweep(folder)


def _sweep(folder: Path) -> None:
    """What the next writer does first."""
    from fewshot.retrieval.build.ledger import drop_work
    from fewshot.retrieval.build.publishing import sweep
    from fewshot.retrieval.store import read_manifest

    sweep(folder, read_manifest(folder))
    drop_work(folder)


def _with_fault(how: str, point: int, folder: Path, act: Callable[[], object]) -> None:
    if how.startswith("kill"):
        os.environ["FEWSHOT_CRASH_AT"] = str(point)
        act()
        return
    taken = 0

    def step(name: str, path: Path) -> None:
        nonlocal taken
        taken += 1
        if taken < point:
            return
        if how == "full disk":
            if name in FALLIBLE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return
        _tear(folder, random.Random(point))
        os.kill(os.getpid(), signal.SIGKILL)

    writing.step = step
    from fewshot.retrieval.store import shards

    shards.step = step
    act()


def _tear(folder: Path, draw: random.Random) -> None:
    """As a power cut may leave them: files that were not flushed have some of their bytes, or zeros."""
    for path in folder.rglob(".*"):
        if path.is_file() and (size := path.stat().st_size):
            os.truncate(path, draw.randrange(size))
            if draw.random() < 0.5:
                os.truncate(path, size)


def in_child(act: Callable[[], object]) -> str:
    """Run `act` in a child process; how it ended."""
    _, status = os.waitpid(forked(act), 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return KILLED
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 3, 4):
        raise Lie(f"the command ended with {code}")
    return DONE if code == 0 else REFUSED


@contextmanager
def _fresh() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        yield place / "index"
    finally:
        shutil.rmtree(place)


def grid(names: list[str], ways: list[str], stride: int = 1, offset: int = 1) -> dict[str, dict]:
    """Every `stride`-th point of the scenarios, in every way; counts of how they ended, and what was lost."""
    results: dict[str, dict] = {}
    with _fresh() as folder:
        SCENARIOS["compact"].prepare(folder)  # imports what is needed once here, not in every child
    for name in names:
        with _fresh() as folder:
            steps = steps_of(SCENARIOS[name], folder)
        for way in ways:
            ended: Counter[str] = Counter()
            lost = []
            for point in range(offset, len(steps) + 1, stride):
                with _fresh() as folder:
                    try:
                        ended[run_point(SCENARIOS[name], folder, way, point, len(steps))] += 1
                    except (Lie, FewshotError) as error:
                        lost.append(f"step {point} ({steps[point - 1]}): {error}")
            results[f"{name}: {way}"] = {"points": len(range(offset, len(steps) + 1, stride)), **ended, "lost": lost}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--offset", type=int, default=1)
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--way", action="append", choices=WAYS)
    given = parser.parse_args()
    start = time.perf_counter()
    found = grid(given.scenario or list(SCENARIOS), given.way or list(WAYS), given.stride, given.offset)
    total = sum(each["points"] for each in found.values())
    lost = sum(len(each["lost"]) for each in found.values())
    said = {"points": total, "lost": lost, "seconds": round(time.perf_counter() - start, 1), "by command": found}
    print(json.dumps(said, indent=1))
    if given.out:
        given.out.write_text(json.dumps(said, indent=1) + "\n")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
