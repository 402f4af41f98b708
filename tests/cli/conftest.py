"""The program as a user runs it: in the same process, with exit code and both streams."""

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
