"""The items of tasks as methods of products and sums see them: centred and scaled, and never written so.

Such a method costs what it reads, and a step of preprocessing that writes the features anew reads and writes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from fewshot.learners.distances import CANCELLED, inner_products, products_after_shift, squared_length
from fewshot.learners.transductive.preprocessing import preprocess
from fewshot.learners.transductive.tasks import Tasks

_EPS = 1e-12


@dataclass(frozen=True)
class Items:
    """N items of each of T tasks: `written`, less `centre`, times `scale`.

    written (T, N, D); centre (D,), or None where nothing is taken off; scale (T, N, 1), or None for 1; squares
    (T, N, 1), the squared lengths of the items. Padding has scale 0, or is written as zeros.
    """

    written: Tensor
    squares: Tensor
    centre: Tensor | None = None
    scale: Tensor | None = None

    @classmethod
    def of(cls, written: Tensor) -> Self:
        """The items as they are written."""
        return cls(written, squared_length(written))

    @classmethod
    def of_length_one(cls, written: Tensor, real: Tensor, centre: Tensor | None = None) -> Self:
        """The items less a centre (D,), scaled to length 1; zeros stay zeros. real (T, N, 1) is zero for padding."""
        squares = squared_length(written)
        if centre is not None:
            left = squares - 2 * (written @ centre)[..., None] + centre.square().sum()
            if bool((left < CANCELLED * squares).any()):
                written, centre = written - centre, None
                left = squared_length(written)
            squares = left
        scale = real / squares.sqrt().clamp(min=_EPS)
        return cls(written, squares * scale.square(), centre, scale)

    def products(self, others: Tensor) -> Tensor:
        """Inner products (T, N, R) with others (T, R, D)."""
        products = inner_products(self.written, others)
        if self.centre is not None:
            products -= (others @ self.centre)[:, None]
        return products if self.scale is None else products.mul_(self.scale)

    def sums(self, weights: Tensor) -> Tensor:
        """Weighted sums (T, R, D), by weights (T, N, R)."""
        if self.scale is not None:
            weights = weights * self.scale
        sums = weights.mT @ self.written
        return sums if self.centre is None else sums - weights.sum(1)[..., None] * self.centre

    def moved(self, shift: Tensor) -> Items:
        """The items plus shift (T, 1, D), written out."""
        written = self.written if self.centre is None else self.written - self.centre
        return Items.of((written if self.scale is None else written * self.scale) + shift)

    def moved_products(self, shift: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        """Products (T, N, R) of items + shift (T, 1, D) with others (T, R, D), and squared lengths of items + shift.

        The sum is written only where so little is left of an item that rounding would show.
        """
        both = torch.cat([others, shift], 1)
        found = products_after_shift(self.products(both), self.squares, both)
        if found is None:
            moved = self.moved(shift)
            return moved.products(others), moved.squares
        return found

    def moved_cosines(self, shift: Tensor, others: Tensor) -> Tensor:
        """Cosines (T, N, R) in [-1, 1] of items + shift (T, 1, D) with others (T, R, D)."""
        products, squares = self.moved_products(shift, others)
        lengths = squares.clamp(min=_EPS).sqrt() * others.norm(dim=2).clamp(min=_EPS)[:, None]
        return products.div_(lengths).clamp_(-1, 1)

    def cosines(self, others: Tensor) -> Tensor:
        """Cosines (T, N, R) in [-1, 1] with others (T, R, D); 0 for a vector of zeros."""
        lengths = self.squares.sqrt().clamp(min=_EPS) * others.norm(dim=2).clamp(min=_EPS)[:, None]
        return self.products(others).div_(lengths).clamp_(-1, 1)

    def squared_distances(self, others: Tensor) -> Tensor:
        """Squared Euclidean distances (T, N, R) to others (T, R, D); never below zero."""
        squares = self.squares + squared_length(others).mT
        return (squares - 2 * self.products(others)).clamp_(min=0)

    def gram(self) -> Tensor:
        """Inner products (T, N, N) of the items among each other."""
        gram = self.written @ self.written.mT
        if self.centre is not None:
            along = self.written @ self.centre
            gram -= along[:, :, None] + (along - self.centre.square().sum())[:, None]
        return gram if self.scale is None else gram.mul_(self.scale).mul_(self.scale.mT)


@dataclass(frozen=True)
class ItemTasks:
    """T tasks of items, with members (T, S, W), real_query (T, Q, 1) and present (T, W) as `Tasks` has them."""

    support: Items
    query: Items
    members: Tensor
    real_query: Tensor
    present: Tensor

    @classmethod
    def of(cls, tasks: Tasks, recipe: str, base_mean: Tensor) -> Self:
        """The tasks after the steps of `recipe`, which are written only where they are others than "centre-base+l2"."""
        if recipe in ("l2", "centre-base+l2"):
            centre = base_mean if recipe != "l2" else None
            support = Items.of_length_one(tasks.support, tasks.real_support, centre)
            query = Items.of_length_one(tasks.query, tasks.real_query, centre)
        else:
            tasks = preprocess(tasks, recipe, base_mean)
            support, query = Items.of(tasks.support), Items.of(tasks.query)
        return cls(support, query, tasks.members, tasks.real_query, tasks.present)

    @property
    def support_means(self) -> Tensor:
        """The mean of the support of each class (T, W, D)."""
        return self.support.sums(self.members) / self.members.sum(1).clamp(min=1)[..., None]

    @property
    def shift(self) -> Tensor:
        """From the mean of the queries to that of the support (T, 1, D) (Liu et al. 2020, eq. 5)."""
        real = self.members.sum(2, keepdim=True)
        support = self.support.sums(real) / real.sum(1, keepdim=True)
        return support - self.query.sums(self.real_query) / self.real_query.sum(1, keepdim=True).clamp(min=1)
