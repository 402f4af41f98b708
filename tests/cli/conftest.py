"""The program as a user runs it: in the same process, with exit code and both streams."""

import os
import signal
import subprocess
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from fewshot.cli import main


@pytest.fixture
def fewshot(tmp_path, monkeypatch):
    """`fewshot("bench", "list")` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture
def program(tmp_path) -> Callable[..., subprocess.Popen]:
    """`program(command, ...)` starts a process of its own, in an empty folder, that can be interrupted.

    What a shell runs in the background ignores interrupts, and so would the processes it starts.
    """

    def start(*command: str) -> subprocess.Popen:
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return start
