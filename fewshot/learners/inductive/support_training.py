"""Stochastic gradient descent on the support, as Chen et al. 2019 train their heads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.iteration import until_settled
from fewshot.learners.learner import Learner
from fewshot.learners.probabilities import class_softmax

Gradients = Callable[..., Sequence[Tensor]]


@dataclass(frozen=True)
class SupportTraining(Learner):
    """A learner whose head descends the log loss of the support with momentum and weight decay.

    There are as many steps as `epochs` in batches of `batch` take, and each sees the whole support, which is what a
    random batch sees on average: no draw decides, nor the order of items.
    """

    rate: float = 0.01
    momentum: float = 0.9
    decay: float = 0.001
    epochs: int = 100
    batch: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "rate", "epochs", "batch")
        check_not_negative(self, "decay")
        if not 0 <= self.momentum < 1:
            raise InvalidInput(f"{self.name}: momentum must be in [0, 1), found {self.momentum!r}")

    def descend(
        self, gradients: Gradients, fixed: Sequence[Tensor], start: Sequence[Tensor], items: Tensor
    ) -> list[Tensor]:
        """The parameters that start at `start`, after training.

        `gradients(*fixed, *parameters)` gives the gradient of each parameter; items (T,), how large each support is.
        Momentum comes with as much dampening: the velocity is a running mean of gradients, and starts at the first.
        """
        known, count = len(fixed), len(start)

        def step(*parts: Tensor) -> tuple[list[Tensor], Tensor]:
            left, parameters, velocities = parts[known], parts[known + 1 :][:count], parts[known + 1 + count :]
            slopes = zip(gradients(*parts[:known], *parameters), parameters, strict=True)
            downhill = [slope + self.decay * parameter for slope, parameter in slopes]
            velocities = tuple(v.lerp(d, 1 - self.momentum) for v, d in zip(velocities, downhill, strict=True))
            parameters = tuple(p - self.rate * v for p, v in zip(parameters, velocities, strict=True))
            return [left - 1, *parameters, *velocities], left - 1

        first = zip(gradients(*fixed, *start), start, strict=True)
        velocities = [slope + self.decay * parameter for slope, parameter in first]
        steps = self.epochs * torch.ceil(items / self.batch).long()
        state = [steps, *start, *velocities]
        state, _ = until_settled(step, fixed, state, int(steps.max()), 0, look=self.epochs)
        return state[1 : 1 + count]


def residual(logits: Tensor, targets: Tensor) -> Tensor:
    """The gradient (T, S, W) of the mean log loss by the logits; targets one-hot, with rows of zeros for padding."""
    real, absent = targets.sum(2, keepdim=True), targets.sum(1, keepdim=True) == 0
    probabilities = class_softmax(logits.masked_fill(absent, -torch.inf))
    return (probabilities - targets) * (real / real.sum(1, keepdim=True))
