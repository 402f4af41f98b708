"""Kernels for the distance between two samples, as settings that are called on two blocks of items."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import InvalidInput, UnknownName

Kernel = Callable[[Tensor, Tensor], Tensor]  # (N, D), (M, D) -> (N, M)


@dataclass(frozen=True)
class LinearKernel:
    """x'y: the distance is then that of the means."""

    def __call__(self, left: Tensor, right: Tensor) -> Tensor:
        """(N, M) of left (N, D) and right (M, D)."""
        return left @ right.mT


@dataclass(frozen=True)
class PolynomialKernel:
    """(scale x'y + offset)^degree: moments up to `degree`."""

    degree: int = 3
    scale: float = 1.0
    offset: float = 1.0

    def __call__(self, left: Tensor, right: Tensor) -> Tensor:
        """(N, M) of left (N, D) and right (M, D)."""
        return (self.scale * (left @ right.mT) + self.offset) ** self.degree


@dataclass(frozen=True)
class GaussianKernel:
    """exp(-|x - y|² / (2 bandwidth²)), characteristic: zero distance means the same distribution."""

    bandwidth: float

    def __call__(self, left: Tensor, right: Tensor) -> Tensor:
        """(N, M) of left (N, D) and right (M, D)."""
        return (squared_distances(left, right) / (-2 * self.bandwidth**2)).exp()


@dataclass(frozen=True)
class GaussianMixtureKernel:
    """The mean of Gaussian kernels of several bandwidths (Long et al. 2015, DAN, with equal weights)."""

    bandwidths: tuple[float, ...]

    def __call__(self, left: Tensor, right: Tensor) -> Tensor:
        """(N, M) of left (N, D) and right (M, D)."""
        squares = squared_distances(left, right)
        total = torch.zeros_like(squares)
        for bandwidth in self.bandwidths:
            total += (squares / (-2 * bandwidth**2)).exp()
        return total / len(self.bandwidths)


@dataclass(frozen=True)
class LaplacianKernel:
    """exp(-|x - y|₁ / bandwidth), characteristic, with heavier tails than the Gaussian."""

    bandwidth: float

    def __call__(self, left: Tensor, right: Tensor) -> Tensor:
        """(N, M) of left (N, D) and right (M, D)."""
        return (-torch.cdist(left, right, p=1) / self.bandwidth).exp()


KERNELS = ("linear", "polynomial", "gaussian", "multi-gaussian", "laplacian")
SPREAD = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the bandwidths of multi-gaussian, around the median


def kernel_for(name: str, left: Tensor, right: Tensor) -> Any:
    """The kernel called `name`, its bandwidth the median distance among the pooled items left (N, D), right (M, D).

    The polynomial kernel is scaled by 1 / D. Raises `UnknownName`, and `InvalidInput` where that median is zero.
    """
    if name not in KERNELS:
        raise UnknownName("kernel", name, KERNELS)
    if name == "linear":
        return LinearKernel()
    if name == "polynomial":
        return PolynomialKernel(scale=1 / left.shape[1])
    if name == "laplacian":
        return LaplacianKernel(median_distance(left, right, p=1))
    median = median_distance(left, right)
    if name == "gaussian":
        return GaussianKernel(median)
    return GaussianMixtureKernel(tuple(factor * median for factor in SPREAD))


def median_distance(left: Tensor, right: Tensor, p: int = 2, most: int = 1000) -> float:
    """The median distance between two different pooled items (the heuristic of Gretton et al. 2012, section 8).

    Of more than `most` items a domain, `most` at equal steps are taken.
    """
    pooled = torch.cat([_thinned(left, most), _thinned(right, most)])
    median = float(torch.pdist(pooled, p=p).median())
    if median == 0:
        raise InvalidInput(
            "half of all pairs of items are equal, so their median distance gives no bandwidth; name one"
        )
    return median


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """|x - y|² of each pair, (N, M), by a matrix product; never below zero."""
    squares = left.square().sum(1)[:, None] + right.square().sum(1)
    return torch.addmm(squares, left, right.mT, alpha=-2).clamp_(min=0)


def _thinned(items: Tensor, most: int) -> Tensor:
    return items if len(items) <= most else items[torch.linspace(0, len(items) - 1, most).long()]
