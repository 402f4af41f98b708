"""Texts with made-up vectors, embedded slowly, so that processes can be killed in the middle."""

import os
import time
from pathlib import Path

import numpy as np
import torch

from fewshot import Index
from fewshot.retrieval.sources import TextSource


class Texts:
    """A made-up text encoder; each text takes `pause` seconds, and is noted in `log` with the process that had it."""

    name, dim, fingerprint = "made-up", 8, "feedface"

    def __init__(self, pause: float = 0.0, log: Path | None = None) -> None:
        self.pause, self.log = pause, log

    def describe(self) -> dict:
        return {"name": self.name}

    def __call__(self, texts, batch_size=1):
        for text in texts:
            time.sleep(self.pause)
            if self.log:
                with self.log.open("a") as log:
                    log.write(f"{os.getpid()} {text}\n")
        return torch.from_numpy(np.stack([vector_of(text) for text in texts]))


def vector_of(text: str) -> np.ndarray:
    return np.random.default_rng(list(text.encode())).normal(size=8).astype(np.float32)


def source_of(count: int, start: int = 0) -> TextSource:
    texts = [f"text {number}" for number in range(start, start + count)]
    return TextSource("texts", texts, [text.replace(" ", "-") for text in texts], [None] * count, None, {"kind": "m"})


def same(one: Index, other: Index) -> None:
    """Byte for byte the same vectors under the same ids, keys and hashes, and both are whole."""
    assert one.snapshot.table().equals(other.snapshot.table())
    rows = np.arange(len(one.snapshot.ids))
    assert np.array_equal(one.snapshot.vectors(rows), other.snapshot.vectors(rows))
    for index in (one, other):
        assert index.verify().ok, index.verify().problems
        assert not (index.folder / "work").exists()
