"""Maximum mean discrepancy (Gretton et al. 2012, A kernel two-sample test), in bounded memory, with its test.

The whole kernel matrix of the pooled items is visited block by block. Splits of these items into two samples, the one
that was given and those that the test draws, are columns of 0 and 1 that every block is multiplied with, so one visit
serves them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.checks import check_pair
from fewshot.transfer.domains.distances.kernels import Kernel, kernel_for

BLOCK = 2048  # items: a block of float32 takes 16 MiB


@dataclass(frozen=True)
class MMDTest:
    """Squared MMD (unbiased), the p value that both samples are of one distribution, and a 95 % bootstrap interval.

    `exact` where every split of the pooled items was looked at, else `permutations` random ones. The interval is of
    use where the null is rejected; under it the bootstrap is known to be off and the p value says all.
    """

    squared: float
    p_value: float
    low: float
    high: float
    permutations: int
    exact: bool


def mmd_squared(
    source: Tensor, target: Tensor, kernel: Kernel | str = "gaussian", unbiased: bool = True, block: int = BLOCK
) -> float:
    """Squared MMD of source (N, D) and target (M, D): eq. 3 (unbiased) or 5 (biased) of Gretton et al. 2012.

    A kernel given by name takes its bandwidth from the data. Memory is `block`² numbers beside the items.
    """
    source, target, kernel = _prepared(source, target, kernel)
    pooled = torch.cat([source, target])
    own = (torch.arange(len(pooled)) < len(source)).to(pooled)[:, None]
    sums = _kernel_sums(pooled, own, 1 - own, kernel, block)
    return float(_mmd(sums, len(source), len(target), unbiased))


def mmd_test(
    source: Tensor,
    target: Tensor,
    kernel: Kernel | str = "gaussian",
    permutations: int = 500,
    resamples: int = 200,
    seed: int = 0,
    block: int = BLOCK,
) -> MMDTest:
    """Whether source (N, D) and target (M, D) are of one distribution: the permutation test of the unbiased MMD².

    p is the share of splits whose MMD² is at least that of the split given, itself counted; where there are no more
    splits than `permutations` all are looked at. The interval comes from `resamples` bootstrap draws of both samples,
    pairs of an item with itself left out.
    """
    if permutations < 1:
        raise InvalidInput(f"a permutation test needs 1 permutation or more, found {permutations}")
    source, target, kernel = _prepared(source, target, kernel)
    pooled, first, second = torch.cat([source, target]), len(source), len(target)
    generator = torch.Generator().manual_seed(seed)
    splits, exact = _splits(first, second, permutations, generator)
    splits = splits.to(pooled)
    values = _mmd(_kernel_sums(pooled, splits, 1 - splits, kernel, block), first, second, unbiased=True)
    # rounding may not tell equal splits apart: what is a hair below counts as equal
    hair = 1e-9 if pooled.dtype == torch.float64 else 1e-6
    reached = values >= values[0] - hair * values.abs().max()
    draws = [_drawn(size, resamples, generator).to(pooled) for size in (first, second)]
    lefts = torch.cat([draws[0], torch.zeros(second, resamples).to(pooled)])
    rights = torch.cat([torch.zeros(first, resamples).to(pooled), draws[1]])
    again = _weighted_mmd(_kernel_sums(pooled, lefts, rights, kernel, block), lefts, rights)
    low, high = torch.quantile(again, torch.tensor([0.025, 0.975], dtype=again.dtype)).tolist()
    return MMDTest(float(values[0]), float(reached.double().mean()), low, high, len(values) - 1, exact)


@dataclass(frozen=True)
class _Sums:
    """Of each column pair: what the kernel sums to within the left, within the right, between, and the diagonals."""

    left: Tensor
    right: Tensor
    between: Tensor
    left_own: Tensor
    right_own: Tensor


def _kernel_sums(pooled: Tensor, lefts: Tensor, rights: Tensor, kernel: Kernel, block: int) -> _Sums:
    """l'Kl, r'Kr and l'Kr for the columns l, r of lefts, rights (N + M, P), in float64; K is symmetric."""
    total = torch.zeros(3, lefts.shape[1], dtype=torch.float64)
    own = torch.zeros(2, lefts.shape[1], dtype=torch.float64)
    parts = list(zip(pooled.split(block), lefts.split(block), rights.split(block), strict=True))
    for row, (items, left, right) in enumerate(parts):
        for column, (others, other_left, other_right) in enumerate(parts[row:], row):
            values = kernel(items, others)
            from_left, from_right = values @ other_left, values @ other_right
            twice = 1 if row == column else 2
            total[0] += twice * (left * from_left).sum(0).double()
            total[1] += twice * (right * from_right).sum(0).double()
            total[2] += (left * from_right).sum(0).double()
            if row == column:
                diagonal = values.diagonal()[:, None]
                own[0] += (left.square() * diagonal).sum(0).double()
                own[1] += (right.square() * diagonal).sum(0).double()
            else:
                total[2] += (right * from_left).sum(0).double()
    return _Sums(total[0], total[1], total[2], own[0], own[1])


def _mmd(sums: _Sums, first: int, second: int, unbiased: bool) -> Tensor:
    between = 2 * sums.between / (first * second)
    if not unbiased:
        return sums.left / first**2 + sums.right / second**2 - between
    within_first = (sums.left - sums.left_own) / (first * (first - 1))
    return within_first + (sums.right - sums.right_own) / (second * (second - 1)) - between


def _weighted_mmd(sums: _Sums, lefts: Tensor, rights: Tensor) -> Tensor:
    """MMD² of multisets: columns of lefts and rights (N + M, P) are how often an item is in them."""
    left, right = lefts.double(), rights.double()
    within_left = (sums.left - sums.left_own) / (left.sum(0) ** 2 - left.square().sum(0))
    within_right = (sums.right - sums.right_own) / (right.sum(0) ** 2 - right.square().sum(0))
    return within_left + within_right - 2 * sums.between / (left.sum(0) * right.sum(0))


def _splits(first: int, second: int, most: int, generator: torch.Generator) -> tuple[Tensor, bool]:
    """Columns of 0 and 1 (N + M, P), the split given in front, and whether these are all."""
    count = first + second
    if math.comb(count, first) <= most:
        chosen = torch.tensor(list(combinations(range(count), first)))
    else:
        given = torch.arange(first)[None]
        drawn = torch.stack([torch.randperm(count, generator=generator)[:first] for _ in range(most)])
        chosen = torch.cat([given, drawn])
    columns = torch.zeros(count, len(chosen))
    columns.scatter_(0, chosen.mT, 1.0)
    return columns, math.comb(count, first) <= most


def _drawn(size: int, resamples: int, generator: torch.Generator) -> Tensor:
    """How often each of `size` items is in a draw of `size` with replacement, (size, resamples)."""
    places = torch.randint(size, (size, resamples), generator=generator)
    return torch.zeros(size, resamples).scatter_add_(0, places, torch.ones(size, resamples))


def _prepared(source: Tensor, target: Tensor, kernel: Kernel | str) -> tuple[Tensor, Tensor, Kernel]:
    source, target = check_pair(source, target)
    source, target = source.flatten(1), target.flatten(1)
    return source, target, kernel_for(kernel, source, target) if isinstance(kernel, str) else kernel
