"""What an index is built from: items with keys, told by pictures, texts or vectors, and what else is known of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fewshot.errors import BrokenImages, InvalidInput, MissingData

if TYPE_CHECKING:
    import pyarrow

    from fewshot.datasets import Images

Labels = Sequence[str | None]


class Source(ABC):
    """Items by row: `keys`, one unique name each; `labels`, a class name or None; `columns`, a table of the user's own.

    `described` is plain JSON from which `open_source` makes the same source again, where it can. Raises `MissingData`
    for a source without items and `InvalidInput` for a key that is there twice.
    """

    kind: ClassVar[Literal["images", "texts", "vectors"]]

    def __init__(
        self, name: str, keys: Sequence[str], labels: Labels, columns: pyarrow.Table | None, described: dict[str, Any]
    ) -> None:
        self.name, self.keys, self.labels, self.columns = name, keys, labels, columns
        self.described = described
        if not len(keys):
            raise MissingData(f"{name} has nothing to index")
        if len(set(keys)) < len(keys):
            twice = Counter(keys).most_common(1)[0][0]
            raise InvalidInput(f"{name}: the key {twice!r} is there more than once; keys must differ")
        for key in keys:
            if not key.isascii() and any("\ud800" <= letter <= "\udfff" for letter in key):
                raise InvalidInput(f"{name}: the name {key!r} is not valid UTF-8; rename it")

    def __len__(self) -> int:
        return len(self.keys)

    @abstractmethod
    def hashes(self, rows: Sequence[int]) -> list[str | None]:
        """A content hash of each of `rows`, None where it cannot be read."""


class PictureSource(Source):
    """Pictures, decoded when they are asked for."""

    kind = "images"

    def __init__(
        self,
        name: str,
        images: Images,
        keys: Sequence[str],
        labels: Labels,
        columns: pyarrow.Table | None,
        described: dict[str, Any],
    ) -> None:
        super().__init__(name, keys, labels, columns, described)
        self.images = images

    def hashes(self, rows: Sequence[int]) -> list[str | None]:
        """The digests that the pictures' own source gives, by threads."""

        def digest(row: int) -> str | None:
            try:
                return self.images.digest(row)
            except BrokenImages:
                return None

        with ThreadPoolExecutor() as pool:
            return list(pool.map(digest, rows, chunksize=64))


class TextSource(Source):
    """Texts, held in memory."""

    kind = "texts"

    def __init__(
        self,
        name: str,
        texts: Sequence[str],
        keys: Sequence[str],
        labels: Labels,
        columns: pyarrow.Table | None,
        described: dict[str, Any],
    ) -> None:
        super().__init__(name, keys, labels, columns, described)
        self.texts = texts

    def hashes(self, rows: Sequence[int]) -> list[str | None]:
        """Hashes of the texts."""
        return [blake2b(self.texts[row].encode(), digest_size=16).hexdigest() for row in rows]


class VectorSource(Source):
    """Vectors made before: `vectors(start, stop)` gives rows (n, dim) of floats; `backbone` tells what made them."""

    kind = "vectors"

    def __init__(
        self,
        name: str,
        vectors: Callable[[int, int], np.ndarray],
        dim: int,
        keys: Sequence[str],
        labels: Labels,
        columns: pyarrow.Table | None,
        described: dict[str, Any],
        backbone: dict[str, Any],
    ) -> None:
        super().__init__(name, keys, labels, columns, described)
        self.vectors, self.dim, self.backbone = vectors, dim, backbone

    def hashes(self, rows: Sequence[int]) -> list[str | None]:
        """Hashes of the vectors in float32."""
        found: list[str | None] = []
        for some in np.split(np.asarray(rows), range(8192, len(rows), 8192)):
            found += _row_hashes(self.take(some))
        return found

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The vectors (n, dim) float32 of ascending `rows`."""
        if not len(rows):
            return np.empty((0, self.dim), np.float32)
        start, stop = int(rows[0]), int(rows[-1]) + 1
        if stop - start == len(rows):
            return np.ascontiguousarray(self.vectors(start, stop), np.float32)
        if stop - start < 4 * len(rows):
            return np.ascontiguousarray(self.vectors(start, stop)[rows - start], np.float32)
        return np.concatenate([np.asarray(self.vectors(row, row + 1), np.float32) for row in rows.tolist()])


def _row_hashes(vectors: np.ndarray) -> list[str]:
    # two multilinear hashes of 64 bits: as quick as reading the vectors, which a loop over rows is not
    factors = np.random.default_rng(0).integers(0, 2**63, (2, vectors.shape[1]), np.uint64) * 2 + 1
    words = vectors.view(np.uint32).astype(np.uint64)
    digests = np.stack([words @ factor for factor in factors], 1).tobytes().hex()
    return [digests[at : at + 32] for at in range(0, len(digests), 32)]
