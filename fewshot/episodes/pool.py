"""A pool: things sorted into numbered parts, such as the items of each class or the classes of each group."""

import torch
from torch import Tensor

from fewshot.episodes.episodes import DISTRACTOR
from fewshot.episodes.randomness import Randomness


class Pool:
    """The numbers 0..N-1 by the part that `codes` (N,) puts them in; only those of the mask `keep`, if given.

    sizes (parts,) counts the members of each part.
    """

    def __init__(self, codes: Tensor, parts: int, keep: Tensor | None = None) -> None:
        kept = torch.arange(len(codes)) if keep is None else keep.nonzero().squeeze(1)
        self.members = kept[codes[kept].argsort(stable=True)]
        self.sizes = codes[kept].bincount(minlength=parts)
        self._starts = self.sizes.cumsum(0) - self.sizes

    def draw(self, random: Randomness, stream: str, parts: Tensor, counts: Tensor) -> Tensor:
        """Different members at random: `counts` (T, R) of them from each of `parts` (T, R).

        ->  (T, R, counts.max()), -1 pads; a row of count 0 may name the part -1.
        """
        parts = parts.clamp(min=0)
        places = random.distinct(stream, self.sizes[parts], counts)
        found = self.members[(self._starts[parts].unsqueeze(-1) + places).clamp(0, len(self.members) - 1)]
        return found.masked_fill(places < 0, -1)

    def deal(self, random: Randomness, stream: str, parts: Tensor, *hands: Tensor) -> list[Tensor]:
        """Draw different members of each part and deal them out: hands[i] (T, R) says how many the i-th hand gets.

        ->  one (T, R, hand.max()) for each hand, -1 pads.
        """
        drawn = self.draw(random, stream, parts, torch.stack(hands).sum(0))
        if all(hand.min() == hand.max() for hand in hands):
            return list(drawn.split([int(hand.max()) for hand in hands], dim=-1))
        dealt, start = [], torch.zeros_like(parts)
        for hand in hands:
            column = torch.arange(int(hand.max())).expand(*hand.shape, -1)
            place = (start.unsqueeze(-1) + column).clamp(max=max(drawn.shape[-1] - 1, 0))
            dealt.append(drawn.gather(-1, place).masked_fill(column >= hand.unsqueeze(-1), -1))
            start = start + hand
        return dealt


def pack(name: str, items: Tensor, width: int, ways: int | None = None) -> dict[str, Tensor]:
    """Each task's items (T, R, k) side by side as `name` and `name`_labels (T, width), -1 pads.

    The label of an item is its row, or that of a distractor where the row is not below `ways`.
    """
    rows = torch.arange(items.shape[1])
    labels = rows if ways is None else rows.masked_fill(rows >= ways, DISTRACTOR)
    labels = labels.unsqueeze(-1).expand(items.shape).flatten(1)
    flat = items.flatten(1)
    filled = flat >= 0
    if flat.shape[1] == width and filled.all():
        return {name: flat, f"{name}_labels": labels}
    task = filled.nonzero()[:, 0]
    place = (filled.cumsum(1) - 1)[filled]
    packed = torch.full((2, len(flat), width), -1)
    packed[0, task, place] = flat[filled]
    packed[1, task, place] = labels[filled]
    return {name: packed[0], f"{name}_labels": packed[1]}
