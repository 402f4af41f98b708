"""Vectors as the metric needs them: finite, and of unit length where directions are compared."""

from collections.abc import Sequence

import numpy as np

from fewshot.errors import InvalidInput


def prepared(vectors: np.ndarray, metric: str, keys: Sequence[str]) -> np.ndarray:
    """`vectors` (n, dim) float32, divided by their lengths with cosine.

    Raises `InvalidInput` naming the items whose vector holds NaN or infinite values, or, with cosine, is zero.
    """
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    _refuse(~np.isfinite(lengths), keys, "hold NaN or infinite values; FAISS would count them and never find them")
    if metric != "cosine":
        return vectors
    _refuse(lengths == 0, keys, "are zero, which have no direction; pass metric='l2', or leave them out")
    return (vectors / lengths[:, None]).astype(np.float32)


def _refuse(bad: np.ndarray, keys: Sequence[str], why: str) -> None:
    if bad.any():
        named = [keys[row] for row in np.flatnonzero(bad)[:5]]
        more = f" and {int(bad.sum()) - 5} more" if bad.sum() > 5 else ""
        raise InvalidInput(f"the vectors of {int(bad.sum())} items {why}: {', '.join(named)}{more}")
