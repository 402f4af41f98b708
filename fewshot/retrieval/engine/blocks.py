"""Vectors that are too many to hold: blocks of them, to be gone through as often as needed."""

from collections.abc import Callable, Iterator

import numpy as np

Blocks = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
"""Called, it gives blocks of (ids (n,) int64, features (n, D) float32); it can be called again."""
