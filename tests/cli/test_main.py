"""Help everywhere, errors in one line, a start that does not load torch."""

import subprocess
import sys

import click
import pytest

from fewshot.cli import main
from fewshot.cli.main import COMMANDS


def all_commands(command: click.Command = main, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(command)
    if not isinstance(command, click.Group):
        return [path]
    below = [all_commands(command.get_command(context, name), (*path, name)) for name in command.list_commands(context)]
    return [path, *(found for group in below for found in group)]


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(fewshot, path) -> None:
    result = fewshot(*path, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.output
    assert f"fewshot {' '.join(path[:2])}".strip() in result.output


def test_every_option_says_what_it_is_for() -> None:
    for path in all_commands():
        command: click.Command = main
        for name in path:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), name)
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, (path, parameter.name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["datasets", "show", "digitz"], "no data set is called 'digitz'; near: digits"),
        (["learners", "show", "rigde"], "no learner is called 'rigde'; near: ridge"),
        (["backbones", "show", "fewshot:conv5"], "no backbone is called 'fewshot:conv5'; near: fewshot:conv4"),
        (["embed", "nothing-here", "--out", "t"], "no data set is called 'nothing-here'"),
        (["embed", "digits", "--out", "t", "--backbone", "fewshot:conv4"], "fewshot:conv4 has no pretrained weights"),
        (["embed", "digits", "--out", "t", "--split", "test"], "digits has no split 'test'"),
        (["bench", "run", "--dataset", "digitz"], "no data set is called 'digitz'"),
        (["bench", "run", "--dataset", "digits", "--learner", "ridge:speed=1"], "ridge has no setting 'speed'"),
        (["bench", "run", "--dataset", "digits", "--learner", "ridge:1"], "learner settings are written name:setting="),
        (["bench", "report"], "no result in results matches"),
        (["bench", "compare", "a", "b"], "no learner or backbone with results is called 'a'"),
        (["datasets", "check", "digits", "--split", "dev"], "digits has no split 'dev'"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(fewshot, arguments, message) -> None:
    result = fewshot(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"fewshot: {message}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["bench", "run"], ["bench", "run", "--dataset", "digits", "--ways", "none"], ["embed"], ["nonsense"]],
)
def test_wrong_usage_is_explained(fewshot, arguments) -> None:
    result = fewshot(*arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys; from fewshot.cli import main; main(['--help'], standalone_mode=False);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_commands_are_all_there() -> None:
    assert set(COMMANDS) == set(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(fewshot, shell) -> None:
    result = fewshot("completion", shell)
    assert result.exit_code == 0
    assert "_FEWSHOT_COMPLETE" in result.output
