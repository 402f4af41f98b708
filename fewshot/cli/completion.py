"""`fewshot completion`: shell completion for bash, zsh and fish."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for SHELL; put it where your shell reads such scripts.

    \b
    Example:
      fewshot completion bash > ~/.local/share/bash-completion/completions/fewshot
      fewshot completion fish > ~/.config/fish/completions/fewshot.fish
    """
    from fewshot.cli.main import main

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "fewshot", "_FEWSHOT_COMPLETE").source())
