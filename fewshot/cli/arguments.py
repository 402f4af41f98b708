"""Arguments that several commands take, made into what the package takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

device_option = click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto.")
skip_broken_option = click.option("--skip-broken", is_flag=True, help="Leave out images that cannot be read.")


def with_options(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Several `click.option` as one decorator; the help lists them in this order."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def load_images(name: str, split: str, **options: Any) -> Dataset:
    """A registered data set, or a path to a folder or zip of one's own."""
    from fewshot.datasets import list_datasets, load_dataset

    is_path = name not in list_datasets() and os.path.exists(name)
    return load_dataset(f"folder:{name}" if is_path else name, split=split, **options)


def parse_layers(text: str | None) -> list[str | int] | str | None:
    """`2,-1` or `layer3,layer4`: numbers are indices, the rest are names; `pre-projection` stays alone."""
    if text is None or text == "pre-projection":
        return text
    return [int(part) if part.lstrip("-").isdigit() else part for part in text.split(",")]


def read_settings(changes: tuple[str, ...]) -> dict[str, Any]:
    """What `--set name=value`, repeated, says: values by name; raises `InvalidInput` for any other form."""
    from fewshot.errors import InvalidInput
    from fewshot.learners.registry import parse_value

    pairs = [change.partition("=") for change in changes]
    for change, (name, _, value) in zip(changes, pairs, strict=True):
        if not (name and value):
            raise InvalidInput(f"--set takes name=value, found {change!r}")
    return {name: parse_value(value) for name, _, value in pairs}
