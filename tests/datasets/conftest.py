"""Small pictures and folders of them, for the tests of the data sets."""

import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot.datasets import Dataset, Grouping
from fewshot.datasets.sources.arrays import ArrayImages


def encoded(seed: int, form: str = "PNG", size: tuple[int, int] = (12, 10)) -> bytes:
    """A noisy RGB picture as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


@pytest.fixture
def picture_file() -> Callable[..., bytes]:
    return encoded


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[Mapping[str, bytes | int]], Path]:
    """Write files into a folder; a number stands for the noisy PNG of that seed."""

    def make(files: Mapping[str, bytes | int], name: str = "pictures") -> Path:
        for relative, content in files.items():
            path = tmp_path / name / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(content) if isinstance(content, int) else content)
        return tmp_path / name

    return make


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[[Mapping[str, bytes | int]], Path]:
    """Like `make_folder`, into a zip."""

    def make(files: Mapping[str, bytes | int], name: str = "pictures.zip") -> Path:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for relative, content in files.items():
                archive.writestr(relative, encoded(content) if isinstance(content, int) else content)
        return tmp_path / name

    return make


def small_dataset(labels: list[int], classes: int, **more: object) -> Dataset:
    """One grey 2 x 2 picture an item, its brightness the item's index; group "parity" of the index."""
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), dtype=np.uint8)
    return Dataset(
        name="small",
        images=ArrayImages(pixels),
        labels=torch.tensor(labels, dtype=torch.int64),
        class_names=tuple(f"class{index}" for index in range(classes)),
        ids=tuple(f"item{index}" for index in range(len(labels))),
        groups={"parity": Grouping(torch.arange(len(labels)) % 2, ("even", "odd"))},
        **more,
    )


@pytest.fixture
def make_dataset() -> Callable[..., Dataset]:
    return small_dataset
