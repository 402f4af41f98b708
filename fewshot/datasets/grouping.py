"""A named partition of a data set's items, such as alphabet, drawer, font, domain or coarse class."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput, UnknownName


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which group each item belongs to: `codes` (N,) int64 are indices into `names`.

    Raises `InvalidInput` for codes that are not one row of integers within the names, or for a name given twice.
    """

    codes: Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        codes = torch.as_tensor(self.codes)
        if codes.ndim != 1 or (codes.numel() and codes.is_floating_point()):
            raise InvalidInput(
                f"group codes must be one row of integers, not {codes.dtype} of shape {list(codes.shape)}"
            )
        lowest, highest = (int(codes.min()), int(codes.max())) if codes.numel() else (0, -1)
        if lowest < 0 or highest >= len(self.names):
            raise InvalidInput(
                f"group codes must lie in 0..{len(self.names) - 1}, one for each name; found {lowest}..{highest}"
            )
        if len(set(self.names)) < len(self.names):
            raise InvalidInput(f"group names must differ; found {list(self.names)}")
        object.__setattr__(self, "codes", codes.to(torch.int64))
        object.__setattr__(self, "names", tuple(self.names))

    @classmethod
    def of(cls, values: Sequence[str]) -> "Grouping":
        """Group items by a word for each, the names sorted.

        >>> Grouping.of(["photo", "sketch", "photo"]).codes.tolist()
        [0, 1, 0]
        """
        names = tuple(sorted(set(values)))
        code = {name: index for index, name in enumerate(names)}
        return cls(torch.tensor([code[value] for value in values], dtype=torch.int64), names)

    def __len__(self) -> int:
        return len(self.codes)

    def select(self, indices: Tensor) -> "Grouping":
        """The same grouping of the items at `indices`; all names stay."""
        return Grouping(self.codes[indices], self.names)

    def mask(self, wanted: str | Iterable[str], group: str = "group") -> Tensor:
        """(N,) bool: the items of the group named, or of any of those named; raises `UnknownName`."""
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        for name in wanted:
            if name not in self.names:
                raise UnknownName(group, name, self.names)
        return torch.isin(self.codes, torch.tensor([self.names.index(name) for name in wanted], dtype=torch.int64))
