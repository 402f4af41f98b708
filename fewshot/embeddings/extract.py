"""`embed`: run a backbone over a data set once and keep the table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.datasets import Dataset, find_broken
from fewshot.datasets.decoding import decode, to_rgb
from fewshot.embeddings.decoding import decoded_batches, worker_count
from fewshot.embeddings.partial import PartialFeatures
from fewshot.embeddings.table import EmbeddingTable
from fewshot.errors import BrokenImages, InvalidInput, UnreadableFile
from fewshot.files import cache_folder
from fewshot.fingerprint import fingerprint
from fewshot.progress import progress_bar

if TYPE_CHECKING:
    from fewshot.backbones import Backbone


def embed(
    backbone: Backbone,
    dataset: Dataset,
    batch_size: int = 64,
    workers: int | Literal["auto"] = "auto",
    cache: bool | str | Path = True,
    skip_broken: bool = False,
    progress: bool = True,
) -> EmbeddingTable:
    """The features of every image of `dataset`, as a table (N, backbone.dim) float32 in memory-mapped storage.

    Worker processes decode ahead of the backbone. The table is kept in `cache` (a folder; True is
    `$FEWSHOT_CACHE/embeddings`) under the fingerprints of backbone and data set, so the second call is a read; a run
    that was stopped goes on where it was. With `cache=False` nothing is kept.

    Images that cannot be decoded raise `BrokenImages`, which lists all of them; `skip_broken=True` leaves them out.
    """
    if batch_size < 1:
        raise InvalidInput(f"batch_size must be 1 or more, found {batch_size}")
    if len(dataset) == 0:
        raise InvalidInput(f"{dataset.name} ({dataset.split}) has no images to embed")
    if workers == "auto":
        workers = worker_count(len(dataset), batch_size)
    if not cache:
        with tempfile.TemporaryDirectory() as folder:
            table = _extract(backbone, dataset, batch_size, workers, Path(folder), skip_broken, progress)
            return _in_memory(table)
    root = cache_folder() / "embeddings" if cache is True else Path(cache)
    kept = root / f"{backbone.fingerprint}-{dataset.fingerprint}{'-whole' if skip_broken else ''}"
    with suppress(UnreadableFile):
        return EmbeddingTable.load(kept)
    unfinished = kept.with_name(kept.name + ".partial")
    _extract(backbone, dataset, batch_size, workers, unfinished, skip_broken, progress).save(kept)
    shutil.rmtree(unfinished, ignore_errors=True)
    return EmbeddingTable.load(kept)


def _extract(
    backbone: Backbone,
    dataset: Dataset,
    batch_size: int,
    workers: int,
    folder: Path,
    skip_broken: bool,
    progress: bool,
) -> EmbeddingTable:
    key = fingerprint(backbone.fingerprint, dataset.fingerprint)
    partial = PartialFeatures(folder, key, len(dataset), backbone.dim)
    title = f"{backbone.name} · {dataset.name}"
    try:
        with progress_bar(title, len(dataset), partial.done, show=progress) as advance:
            for batch in decoded_batches(dataset.images, backbone.preprocess, batch_size, workers, partial.done):
                if batch.broken and not skip_broken:
                    raise BrokenImages(dataset.name, find_broken(dataset))
                features = backbone(batch.images) if len(batch.rows) else torch.empty(0, backbone.dim)
                partial.write(batch.rows, features, batch.broken)
                advance(len(batch.rows) + len(batch.broken))
    finally:
        partial.note()
    table = EmbeddingTable(
        features=partial.features(),
        labels=dataset.labels,
        class_names=dataset.class_names,
        ids=dataset.ids,
        groups=dataset.groups,
        backbone=backbone.fingerprint,
        dataset=dataset.fingerprint,
        provenance={"backbone": backbone.describe(), "dataset": {"name": dataset.name, "split": dataset.split}},
    )
    if not partial.broken:
        return table
    whole = torch.ones(len(dataset), dtype=torch.bool)
    whole[partial.broken] = False
    return table.select(indices=whole.nonzero().squeeze(1))


def _in_memory(table: EmbeddingTable) -> EmbeddingTable:
    from dataclasses import replace

    return replace(table, features=table.features.clone())


class _Listed:
    """Images given one by one, opened when they are asked for."""

    def __init__(self, images: Sequence[Image.Image | str | Path | np.ndarray]) -> None:
        self.given = images

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, row: int) -> Image.Image:
        image = self.given[row]
        if isinstance(image, Image.Image):
            return to_rgb(image)
        if isinstance(image, np.ndarray):
            return to_rgb(Image.fromarray(image))
        try:
            return decode(Path(image).read_bytes(), str(image), "images")
        except OSError:
            raise BrokenImages("images", [str(image)]) from None


def embed_images(
    backbone: Backbone,
    images: Sequence[Image.Image | str | Path | np.ndarray],
    batch_size: int = 64,
    workers: int | Literal["auto"] = "auto",
) -> Tensor:
    """The features (N, D) float32 of `images`: PIL images, paths, or uint8 arrays (H, W) or (H, W, 3).

    Raises `BrokenImages` listing the paths (or positions) that cannot be read.
    """
    listed = _Listed(images)
    if workers == "auto":
        workers = worker_count(len(listed), batch_size)
    features, broken = [torch.empty(0, backbone.dim)], []
    for batch in decoded_batches(listed, backbone.preprocess, batch_size, workers):
        broken += [_name(images[row], row) for row in batch.broken]
        if len(batch.rows) and not broken:
            features.append(backbone(batch.images).cpu())
    if broken:
        raise BrokenImages("images", broken, hint="leave them out of the list")
    return torch.cat(features)


def _name(image: object, row: int) -> str:
    return str(image) if isinstance(image, str | Path) else f"number {row}"
