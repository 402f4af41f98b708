"""Who of a segment may be found: the living, and of these the ones that a filter lets through."""

from functools import cached_property
from typing import Any

import numpy as np


class Selection:
    """The rows of a segment where `mask` (rows,) bool is true."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask
        self.count = int(np.count_nonzero(mask))

    @property
    def share(self) -> float:
        """The part of the rows that may be found."""
        return self.count / max(len(self.mask), 1)

    @cached_property
    def positions(self) -> np.ndarray:
        """The rows that may be found (count,) int64, ascending."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> Any:
        """FAISS's selector that looks a row up in a bitmap."""
        import faiss

        return faiss.IDSelectorBitmap(np.packbits(self.mask, bitorder="little"))

    @cached_property
    def listed(self) -> Any:
        """FAISS's selector that goes through the rows listed, and touches no other."""
        import faiss

        return faiss.IDSelectorArray(self.positions)
