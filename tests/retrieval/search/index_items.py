"""A small index of vectors with a sidecar, and what its rows are."""

import numpy as np
import pyarrow

from fewshot import Index
from fewshot.retrieval.sources import VectorSource

COUNT, DIM = 60, 8
LABELS = ["mug", "cup", None, "it's"]


def vectors_of(count: int = COUNT, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rows() -> list[dict]:
    """What is known of each item, in plain Python: one value in five is missing."""
    found = []
    for place in range(COUNT):
        gone = place % 5 == 4
        found.append(
            {
                "key": f"photo {place}.jpg",
                "label": LABELS[place % 4],
                "year": None if gone else 2000 + place % 23,
                "price": None if gone else place / 7,
                "sold": None if gone else place % 3 == 0,
                "taken": None if gone else f"20{10 + place % 15}-03-0{1 + place % 9}",
                "two words": place % 10,
            }
        )
    return found


def build_items(folder, vectors: np.ndarray | None = None, **how) -> Index:
    vectors = vectors_of() if vectors is None else vectors
    known = (rows() * (len(vectors) // COUNT + 1))[: len(vectors)]
    table = pyarrow.table(
        {
            "year": pyarrow.array([row["year"] for row in known], pyarrow.int32()),
            "price": pyarrow.array([row["price"] for row in known], pyarrow.float64()),
            "sold": pyarrow.array([row["sold"] for row in known], pyarrow.bool_()),
            "taken": pyarrow.array([row["taken"] for row in known], pyarrow.string()).cast(pyarrow.date32()),
            "two words": pyarrow.array([row["two words"] for row in known], pyarrow.int64()),
        }
    )
    keys = (
        [row["key"] for row in known] if len(vectors) <= COUNT else [f"item {place}" for place in range(len(vectors))]
    )
    labels = [row["label"] for row in known]
    take = lambda start, stop: vectors[start:stop]  # noqa: E731
    backbone = {"fingerprint": "", "name": "", "describe": {}}
    source = VectorSource("items", take, DIM, keys, labels, table, {"kind": "memory"}, backbone)
    return Index.build(source, folder / "items.index", progress=False, **how)
