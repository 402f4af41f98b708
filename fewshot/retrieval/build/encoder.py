"""Items to vectors: pictures by a backbone, texts by a text encoder, vectors as they are."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.sources import PictureSource, Source, TextSource, VectorSource

if TYPE_CHECKING:
    from fewshot.backbones import Backbone, TextEncoder

Workers = int | Literal["auto"]
SAMPLE = 16


class Encoder(ABC):
    """What makes the vectors: `dim`, `fingerprint`, and `told`, which the manifest keeps of it."""

    dim: int
    told: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Of the network and its settings; empty where it is not known."""
        return str(self.told["fingerprint"])

    @abstractmethod
    def encode(self, source: Any, rows: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        """The vectors (n, dim) float32 of those of `rows` that can be read, and the places in `rows` of the others."""

    def seconds(self, source: Source, rows: Sequence[int]) -> float:
        """About how long `rows` take, from a sample of them."""
        if len(rows) < 4 * SAMPLE:
            return 0.0
        sample = [rows[at * len(rows) // SAMPLE] for at in range(SAMPLE)]
        self.encode(source, sample[:2])  # the first call pays for starting
        start = time.perf_counter()
        self.encode(source, sample)
        return (time.perf_counter() - start) / SAMPLE * len(rows)


class PictureEncoder(Encoder):
    """A backbone over pictures, which worker processes decode ahead of it."""

    def __init__(self, backbone: Backbone, batch_size: int, workers: Workers) -> None:
        self.backbone, self.batch_size, self.workers, self.dim = backbone, batch_size, workers, backbone.dim
        self.told = _told(backbone, "images")

    def encode(self, source: PictureSource, rows: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        """Decode and embed; pictures that cannot be decoded are the others."""
        from fewshot.datasets.images import SelectedImages
        from fewshot.embeddings.decoding import decoded_batches, worker_count

        workers = worker_count(len(rows), self.batch_size) if self.workers == "auto" else self.workers
        selected = SelectedImages(source.images, rows)
        found, broken = [np.empty((0, self.dim), np.float32)], list[int]()
        for batch in decoded_batches(selected, self.backbone.preprocess, self.batch_size, workers):
            broken += batch.broken
            if len(batch.rows):
                found.append(self.backbone(batch.images).cpu().numpy())
        return np.concatenate(found), broken


class TextsEncoder(Encoder):
    """A text encoder, by itself or the text half of a backbone."""

    def __init__(self, encoder: TextEncoder, told: dict[str, Any], batch_size: int) -> None:
        self.encoder, self.told, self.dim, self.batch_size = encoder, told, encoder.dim, batch_size

    def encode(self, source: TextSource, rows: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        """Embed; every text can be read."""
        vectors = self.encoder([source.texts[row] for row in rows], batch_size=self.batch_size)
        return vectors.cpu().numpy(), []


class VectorEncoder(Encoder):
    """Vectors that were made before."""

    def __init__(self, source: VectorSource) -> None:
        self.dim, self.told = source.dim, {**source.backbone, "items": "vectors"}

    def encode(self, source: VectorSource, rows: Sequence[int]) -> tuple[np.ndarray, list[int]]:
        """Take them; every vector can be read."""
        return source.take(np.asarray(rows)), []

    def seconds(self, source: Source, rows: Sequence[int]) -> float:
        """Copying takes no time worth telling."""
        return 0.0


def encoder_for(source: Source, backbone: Any, batch_size: int = 64, workers: Workers = "auto") -> Encoder:
    """The encoder of `source` with `backbone`: a `Backbone`, a `TextEncoder`, or the name of one.

    Raises `InvalidInput` where pictures are to be embedded by a text encoder, or texts by a backbone without words.
    """
    if isinstance(source, VectorSource):
        return VectorEncoder(source)
    if batch_size < 1:
        raise InvalidInput(f"batch_size must be 1 or more, found {batch_size}")
    texts = isinstance(source, TextSource)
    if backbone is None:
        raise InvalidInput(f"{source.name} holds {source.kind}; give a backbone to embed them")
    made = make_backbone(backbone) if isinstance(backbone, str) else backbone
    of_pictures = hasattr(made, "preprocess")
    if not texts:
        if not of_pictures:
            raise InvalidInput(f"{made.name} embeds texts, and {source.name} holds pictures; give an image backbone")
        return PictureEncoder(made, batch_size, workers)
    if not of_pictures:
        return TextsEncoder(made, _told(made, "texts"), batch_size)
    if made.text is None:
        raise InvalidInput(
            f"{made.name} knows no words, and {source.name} holds texts; give a backbone with a text tower such as "
            "bridge:lite0-minilm, or a text encoder such as sentence:all-MiniLM-L6-v2"
        )
    return TextsEncoder(made.text, _told(made, "texts"), batch_size)


def make_backbone(name: str, device: str = "auto") -> Any:
    """The backbone of this name, or the text encoder where it is one."""
    from fewshot.backbones import create_backbone, create_text_encoder

    if name.startswith("sentence:"):
        return create_text_encoder(name, device=device)
    return create_backbone(name, device=device)


def _told(made: Any, items: str) -> dict[str, Any]:
    return {"fingerprint": made.fingerprint, "name": made.name, "items": items, "describe": made.describe()}
