"""Random numbers made from (seed, task, stream, place) alone, so that any task can be drawn by itself."""

from typing import Any
from zlib import crc32

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)  # the constants of SplitMix64, as signed 64-bit integers
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


class Randomness:
    """Independent random numbers for each of `tasks`, by hashing counters with SplitMix64 (Steele et al. 2014).

    A number is the hash of the seed, the name of its stream, its task and its place within the task. The order in
    which numbers are asked for, the other tasks of the batch, threads and machines have no influence.
    """

    def __init__(self, seed: int, tasks: Tensor) -> None:
        self.tasks = tasks
        self._key = _split(torch.tensor(0), torch.tensor(seed))

    def uniform(self, stream: str, *shape: int) -> Tensor:
        """Numbers in [0, 1), float64 (T, *shape); a wider shape begins with the numbers of a narrower one."""
        key = _split(_split(self._key, torch.tensor(crc32(stream.encode()))), self.tasks)
        for size in shape:
            key = _split(key.unsqueeze(-1), torch.arange(size))
        return _shift(key, 11).double() * 2.0**-53

    def below(self, stream: str, bounds: Tensor) -> Tensor:
        """One integer in [0, bound) a task, int64 (T,)."""
        return (self.uniform(stream) * bounds).long()

    def distinct(self, stream: str, sizes: Tensor, counts: Tensor) -> Tensor:
        """For each row `counts` different integers below `sizes`, every ordered choice equally likely.

        sizes and counts (T, R) with counts <= sizes  ->  (T, R, counts.max()) int64, -1 pads.
        Floyd's algorithm (Bentley and Floyd 1987) finds one more integer a step, for all rows at once, which then
        changes places with one found before, as in the Fisher-Yates shuffle.
        """
        width = int(counts.max())
        order: Any = slice(None)
        if counts.min() < width:
            order = counts.flatten().argsort(descending=True)  # rows that still draw come first
        numbers = self.uniform(stream, sizes.shape[1], width, 2).flatten(0, 1)[order].permute(1, 2, 0).contiguous()
        size, count = sizes.flatten()[order], counts.flatten()[order]
        found = torch.full((width, sizes.numel()), -1)
        for step, drawing in enumerate((count > torch.arange(width).unsqueeze(1)).sum(1).tolist()):
            largest = size[:drawing] - count[:drawing] + step
            pick = (numbers[step, 0, :drawing] * (largest + 1)).long()
            taken = (found[:step, :drawing] == pick).any(0)
            place = (numbers[step, 1, :drawing] * (step + 1)).long().unsqueeze(0)
            found[step, :drawing] = found[:, :drawing].gather(0, place)
            found[:, :drawing].scatter_(0, place, torch.where(taken, largest, pick).unsqueeze(0))
        back = order if isinstance(order, slice) else order.argsort()
        return found.T[back].unflatten(0, sizes.shape)


def _split(key: Tensor, index: Tensor) -> Tensor:
    """The `index`-th number of the SplitMix64 sequence that starts at `key`."""
    state = key + (index + 1) * _GOLDEN
    state ^= _shift(state, 30)
    state *= _FIRST
    state ^= _shift(state, 27)
    state *= _SECOND
    state ^= _shift(state, 31)
    return state


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros (torch shifts the sign in)."""
    return (value >> bits).bitwise_and_((1 << (64 - bits)) - 1)
