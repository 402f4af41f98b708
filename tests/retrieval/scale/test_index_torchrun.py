"""The program itself: started by torchrun, joined by others, killed in the middle."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scale_helpers import same

from fewshot import Index

SCRIPT = Path(__file__).parents[3] / "scripts" / "embed_torchrun.py"
OPTIONS = [
    "--backbone",
    "fewshot:raw-pixels",
    "--shard-rows",
    "4",
    "--batch-size",
    "4",
    "--workers",
    "0",
    "--device",
    "cpu",
]
COUNT = 120


@pytest.fixture
def photos(tmp_path) -> Path:
    folder, draw = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(draw.integers(0, 255, (200, 200, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def run(*arguments, torchrun: tuple[str, ...] = ()) -> subprocess.Popen:
    before = [sys.executable, "-m", "torch.distributed.run", *torchrun] if torchrun else [sys.executable]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*before, str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(index: Path, count: int, process: subprocess.Popen) -> None:
    """Wait until so many shards are finished."""
    end = time.monotonic() + 240
    while len(list((index / "work").glob("*.json"))) <= count:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.002)


def holders(index: Path) -> set[int]:
    import json

    return {
        json.loads(path.read_text())["pid"] for path in (index / "work" / "claims").glob("*.*") if path.stat().st_size
    }


@pytest.mark.slow
def test_torchrun_with_one_of_two_killed_starts_anew_and_ends_the_same(tmp_path, photos) -> None:
    index = tmp_path / "index"
    process = run(photos, index, *OPTIONS, torchrun=("--standalone", "--nproc-per-node=2", "--max-restarts=2"))
    finished(index, 5, process)
    victim = max(holders(index))
    os.kill(victim, signal.SIGKILL)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert f"{COUNT}" in told
    alone = tmp_path / "alone"
    one = run(photos, alone, *OPTIONS)
    told, _ = one.communicate(timeout=300)
    assert one.returncode == 0, told
    same(Index.open(index), Index.open(alone))


@pytest.mark.slow
def test_others_join_and_the_leader_is_killed(tmp_path, photos) -> None:
    index = tmp_path / "index"
    leader = run(photos, index, *OPTIONS)
    others = [run(photos, index, *OPTIONS, "--join", "--wait", "200") for _ in range(2)]
    finished(index, 5, leader)
    leader.kill()
    for other in others:
        told, _ = other.communicate(timeout=300)
        assert other.returncode == 0, told
    assert not (index / "manifest.json").exists()
    assert len([path for path in (index / "work").glob("*.json") if path.name != "ledger.json"]) == COUNT // 4
    again = run(photos, index, *OPTIONS)
    told, _ = again.communicate(timeout=300)
    assert again.returncode == 0, told
    assert "0 shards, 0 items" in told  # all had been embedded
    alone = tmp_path / "alone"
    Index.build(photos, alone, "fewshot:raw-pixels", shard_rows=4, batch_size=4, workers=0, progress=False)
    same(Index.open(index), Index.open(alone))


@pytest.mark.slow
def test_what_is_wrong_is_told_in_one_line_by_all(tmp_path, photos) -> None:
    process = run(photos, tmp_path / "photos", *OPTIONS, torchrun=("--standalone", "--nproc-per-node=2"))
    told, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert told.count("embed_torchrun: ") == 1
    assert "holds other files" in told
