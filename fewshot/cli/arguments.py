"""Arguments that several commands take, made into what the package takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot.datasets import Dataset


def load_images(name: str, split: str, **options: Any) -> Dataset:
    """A registered data set, or a path to a folder or zip of one's own."""
    from fewshot.datasets import list_datasets, load_dataset

    is_path = name not in list_datasets() and Path(name).exists()
    return load_dataset(f"folder:{name}" if is_path else name, split=split, **options)


def parse_layers(text: str | None) -> list[str | int] | str | None:
    """`2,-1` or `layer3,layer4`: numbers are indices, the rest are names; `pre-projection` stays alone."""
    if text is None or text == "pre-projection":
        return text
    return [int(part) if part.lstrip("-").isdigit() else part for part in text.split(",")]
