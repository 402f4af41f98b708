"""What a data set needs of its pictures: how many, the picture at an index, and a digest of its content."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from PIL import Image


class Images(ABC):
    """Pictures by index. Sources read or draw a picture when it is asked for, and survive pickling and forking."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Image.Image:
        """The RGB picture at `index`; raises `BrokenImages` with its name where it cannot be decoded."""

    @abstractmethod
    def digest(self, index: int) -> str:
        """A short name for the content: equal pictures of one source have equal digests."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What the source is, for provenance: JSON values only."""

    def digests(self) -> list[str]:
        """All digests in order; sources that can do better than one by one override it."""
        return [self.digest(index) for index in range(len(self))]

    def same(self, first: int, second: int) -> bool:
        """Whether two pictures with equal digests are equal byte for byte; for digests that may collide."""
        return self.digest(first) == self.digest(second)

    @property
    def quick_digests(self) -> bool:
        """Whether all digests cost well under a second, so that loading may look for duplicates."""
        return False

    def suspects(self) -> list[int]:
        """Indices of pictures that show to be broken without decoding them (empty files, unknown headers)."""
        return []


class SelectedImages(Images):
    """Some pictures of another source, in the order of `indices`."""

    def __init__(self, base: Images, indices: Sequence[int]) -> None:
        if isinstance(base, SelectedImages):
            indices = [base.indices[index] for index in indices]
            base = base.base
        self.base: Images = base
        self.indices: list[int] = list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Image.Image:
        return self.base[self.indices[index]]

    def digest(self, index: int) -> str:
        """The digest that the base gives."""
        return self.base.digest(self.indices[index])

    def describe(self) -> dict[str, Any]:
        """The base, and how many are selected."""
        return {**self.base.describe(), "selected": len(self)}

    def same(self, first: int, second: int) -> bool:
        """As the base compares them."""
        return self.base.same(self.indices[first], self.indices[second])

    @property
    def quick_digests(self) -> bool:
        """As in the base."""
        return self.base.quick_digests

    def suspects(self) -> list[int]:
        """Those of the base that are selected."""
        broken = set(self.base.suspects())
        return [place for place, index in enumerate(self.indices) if index in broken]
