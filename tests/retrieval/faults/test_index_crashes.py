"""A part of the grid of crashes in every run; the whole of it, and kills of the real program, when asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def run(*arguments: str, program: str = "index_crashes.py") -> dict:
    """The grid in a process of its own, with one thread, so that its children can be forked safely."""
    done = subprocess.run(
        [sys.executable, HERE / program, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_some_points() -> None:
    found = run("--stride", "53", "--offset", "9")
    assert found["lost"] == 0, found
    assert found["points"] >= 20


@pytest.mark.slow
def test_every_point() -> None:
    found = run()
    assert found["lost"] == 0, found
    assert found["points"] > 1000


@pytest.mark.slow
def test_the_real_program_killed_at_random_times() -> None:
    found = run("--times", "10", program="index_kills.py")
    assert found["lost"] == 0, found
    assert found["killed"] > 0
