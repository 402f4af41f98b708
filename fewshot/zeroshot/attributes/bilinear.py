"""What SJE, ALE and DeViSE share: a bilinear form of features and attributes, trained by stochastic gradients."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import Diverged
from fewshot.learners.checks import check_positive
from fewshot.zeroshot.attributes.method import AttributeMethod


@dataclass(frozen=True)
class Bilinear(AttributeMethod):
    """F(x, y) = x' W a(y), with a loss that wants an item's own class ahead of the others by `margin`.

    rate: of the gradient step; batch: how many items' gradients are added for one step (1 is the papers' way, and more
    are faster); epochs: passes over the items, in an order that `seed` draws. W starts at zero.
    """

    margin: float = 1.0
    rate: float = 0.1
    batch: int = 16
    epochs: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "margin", "rate", "batch", "epochs")

    @abstractmethod
    def loss_and_slope(self, violations: Tensor) -> tuple[Tensor, Tensor]:
        """The loss (N,) and its derivative by the violations.

        violations (N, C): margin + F(x, y) - F(x, own class), and zero for the own class.
        """

    def learn(self, features: Tensor, labels: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """The map W (D, A) after all epochs; raises `Diverged` where it is no longer finite."""
        weight = features.new_zeros(features.shape[1], attributes.shape[1])
        generator = torch.Generator().manual_seed(self.seed)
        total = features.new_zeros(())
        for _ in range(self.epochs):
            order = torch.randperm(len(features), generator=generator).to(features.device)
            for rows in order.split(self.batch):
                loss, gradient = self.loss_and_gradient(weight, features[rows], labels[rows], attributes)
                weight -= self.rate * gradient
                total += loss
        if not bool((weight.sum() + total).isfinite()):
            raise Diverged(f"{self.name} has diverged: lower rate, found {self.rate}, or scale the features")
        return {"weight": weight}

    def loss_and_gradient(
        self, weight: Tensor, features: Tensor, labels: Tensor, attributes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The loss summed over items, and its gradient (D, A) by weight."""
        scores = features @ weight @ attributes.mT
        own = labels[:, None]
        violations = (self.margin + scores - scores.gather(1, own)).scatter(1, own, 0)
        loss, slope = self.loss_and_slope(violations)
        slope = slope.scatter_add(1, own, -slope.sum(1, keepdim=True))  # the own class is in every violation
        return loss.sum(), features.mT @ (slope @ attributes)

    def score(self, state: Mapping[str, Tensor], features: Tensor, attributes: Tensor) -> Tensor:
        """The bilinear form x' W a, (N, K)."""
        return features @ state["weight"] @ attributes.mT
