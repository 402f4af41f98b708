"""TCA and JDA: the projection in which the domains' means, of all items and of each class, come together.

Transfer component analysis (Pan et al. 2011) and joint distribution adaptation (Long et al. 2013, eq. 4 to 8), linear:
with X the items as columns, M the sum of the coefficient matrices of the mean differences and H the centring matrix,
the projection A solves (X M X' + ridge I) A = X H X' A Phi for its smallest Phi. As in the authors' code every item has
length 1 before and after, every column of A too, and the difference of all items counts once for each class. skada's
own TCA gives the quotient of two such matrices, which is not symmetric, to a solver for symmetric ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.transfer.domains.adaptation import Alignment, register_adaptation
from fewshot.transfer.domains.alignment.settings import check_components
from fewshot.transfer.domains.classifiers import predict


@register_adaptation("tca", paper="Pan et al. 2011, Domain Adaptation via Transfer Component Analysis")
@dataclass(frozen=True)
class TCA(Alignment):
    """`components` directions of large variance along which the two domains have one mean, with ridge `ridge`.

    The defaults are those of Long et al. 2013, who scale every item to length 1 first.
    """

    components: int = 100
    ridge: float = 1.0

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, D) and target (M, D) as (N, components) and (M, components)."""
        check_components(self.name, self.components, source.shape[1])
        items = unit(torch.cat([source, target]))
        moved = unit(
            items @ components(items, [mean_difference(len(source), len(target))], self.components, self.ridge)
        )
        return moved[: len(source)], moved[len(source) :]


@register_adaptation("jda", paper="Long et al. 2013, Transfer Feature Learning with Joint Distribution Adaptation")
@dataclass(frozen=True)
class JDA(Alignment):
    """As tca, with the means of each class too, by what the round before predicted for the target; `rounds` of them."""

    components: int = 100
    ridge: float = 1.0
    rounds: int = 10

    def align(self, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Source (N, D) and target (M, D) as (N, components) and (M, components), after the last round."""
        check_components(self.name, self.components, source.shape[1])
        items, count = unit(torch.cat([source, target])), len(source)
        whole = mean_difference(count, len(target)) * len(labels.unique()) ** 0.5
        differences, moved = [whole], items
        for _ in range(self.rounds):
            moved = unit(items @ components(items, differences, self.components, self.ridge))
            guess = predict(self.classifier, moved[:count], labels, moved[count:])
            differences = [whole, *class_differences(labels, guess)]
        return moved[:count], moved[count:]


def components(items: Tensor, differences: list[Tensor], count: int, ridge: float) -> Tensor:
    """The projection A (D, count) for items (N + M, D) and coefficient vectors e (N + M,), M being the sum of e e'.

    The sum is scaled to a Frobenius norm of 1, and the columns to length 1.
    """
    vectors = torch.stack(differences, 1)
    gram = vectors.mT @ vectors
    reached = items.mT @ vectors
    between = reached @ reached.mT / gram.norm() + ridge * torch.eye(items.shape[1], dtype=items.dtype)
    centred = items - items.mean(0)
    # the smallest Phi of (between) A = (within) A Phi are the largest of (within) A = (between) A / Phi
    factor = torch.linalg.cholesky(between)
    half = torch.linalg.solve_triangular(factor, centred.mT, upper=False)
    _, vectors_of_half = torch.linalg.eigh(half @ half.mT)
    leading = vectors_of_half[:, -count:].flip(1)
    found = torch.linalg.solve_triangular(factor.mT, leading, upper=True)
    return found / found.norm(dim=0)


def mean_difference(first: int, second: int) -> Tensor:
    """The vector e (first + second,): 1/first for each source item, -1/second for each target item."""
    return torch.cat([torch.full((first,), 1 / first), torch.full((second,), -1 / second)]).double()


def class_differences(labels: Tensor, guess: Tensor) -> list[Tensor]:
    """The same for each class that both the source, labels (N,), and the guess (M,) of the target have."""
    vectors = []
    for label in labels.unique():
        of_source, of_target = (labels == label).double(), (guess == label).double()
        if of_target.any():
            vectors.append(torch.cat([of_source / of_source.sum(), -of_target / of_target.sum()]))
    return vectors


def unit(items: Tensor) -> Tensor:
    """Each item at length 1; zeros stay zeros."""
    return items / items.norm(dim=1, keepdim=True).clamp(min=1e-12)
