"""Random numbers made from (seed, task, stream, place) alone, so that any task can be drawn by itself."""

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
        self.seed = torch.tensor(seed, dtype=torch.int64)
        self.tasks = tasks

    def uniform(self, stream: str, *shape: int) -> Tensor:
        """Numbers in [0, 1), float64 (T, *shape); a wider shape begins with the numbers of a narrower one."""
        key = _split(_split(_split(torch.tensor(0), self.seed), crc32(stream.encode())), self.tasks)
        for size in shape:
            key = _split(key.unsqueeze(-1), torch.arange(size))
        return _shift(key, 11).double() * 2.0**-53

    def below(self, stream: str, bounds: Tensor) -> Tensor:
        """One integer in [0, bound) a task, int64 (T,)."""
        return (self.uniform(stream) * bounds).long()

    def distinct(self, stream: str, sizes: Tensor, counts: Tensor) -> Tensor:
        """For each row `counts` different integers below `sizes`, every ordered choice equally likely.

        sizes and counts (T, R) with counts <= sizes  ->  (T, R, counts.max()) int64, -1 pads.
        Floyd's algorithm (Bentley and Floyd 1987) chooses the set in counts.max() steps, for all rows at once; a sort
        by random keys then orders it.
        """
        width = int(counts.max())
        numbers = self.uniform(stream, sizes.shape[1], width).movedim(-1, 0).contiguous()
        chosen = torch.empty(numbers.shape, dtype=torch.int64)
        for step in range(width):
            largest = sizes - counts + step
            pick = (numbers[step] * (largest + 1)).long()
            taken = (chosen[:step] == pick).any(0)
            chosen[step] = torch.where(taken, largest, pick)
        chosen = chosen.movedim(0, -1)
        padding = torch.arange(width) >= counts.unsqueeze(-1)
        keys = self.uniform(f"{stream}, order", sizes.shape[1], width).masked_fill(padding, 2.0)
        return chosen.masked_fill(padding, -1).gather(-1, keys.argsort(stable=True))


def _split(key: Tensor, index: Tensor | int) -> Tensor:
    """The `index`-th number of the SplitMix64 sequence that starts at `key`."""
    state = key + (index + 1) * _GOLDEN if isinstance(index, Tensor) else key + torch.tensor(index + 1) * _GOLDEN
    state = (state ^ _shift(state, 30)) * _FIRST
    state = (state ^ _shift(state, 27)) * _SECOND
    return state ^ _shift(state, 31)


def _shift(value: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros (torch shifts the sign in)."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
