"""Training on the support in minibatches, with a cosine schedule, for many tasks at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import cos, pi

import torch
from torch import Tensor

from fewshot.learners.adam import Adam
from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.momentum import Momentum
from fewshot.learners.vision_language.learner import WordLearner

GROUP_BYTES = 4 << 20  # of the features of tasks that train together on a CPU: what stays in its cache is fastest

Gradients = Callable[..., Sequence[Tensor]]


@dataclass(frozen=True)
class MinibatchTraining(WordLearner):
    """A learner that descends the log loss of its support in minibatches; the weights of the last step count.

    rate, epsilon, decay: of AdamW; the rate falls to zero along a cosine. epochs, batch: how often it sees each item,
    and items a step. Which items come together is drawn once and for all: a task trains alike alone and in a batch.
    """

    rate: float = 1e-3
    epsilon: float = 1e-4
    decay: float = 0.01
    epochs: int = 20
    batch: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "rate", "epsilon", "epochs", "batch")
        check_not_negative(self, "decay")

    def train(
        self,
        gradients: Gradients,
        features: Tensor,
        labels: Tensor,
        fixed: Sequence[Tensor],
        start: Sequence[Tensor],
    ) -> list[Tensor]:
        """The parameters that start at `start`, after training with AdamW; see `train_in_minibatches`."""
        optimiser = partial(Adam, rate=self.rate, epsilon=self.epsilon, decay=self.decay)
        return train_in_minibatches(gradients, features, labels, fixed, start, optimiser, self.epochs, self.batch)


def train_in_minibatches(
    gradients: Gradients,
    features: Tensor,
    labels: Tensor,
    fixed: Sequence[Tensor],
    start: Sequence[Tensor],
    optimiser: Callable[[Tensor], Adam | Momentum],
    epochs: int,
    batch: int,
) -> list[Tensor]:
    """The parameters that start at `start`, after training on features (T, S, D) with labels (T, S).

    `gradients(features, labels, *fixed, *parameters)` gives the gradient of each parameter by the mean loss of a
    minibatch (T, B, D) with labels (T, B). Everything has the task as its first index. `optimiser(parameter)` steps it;
    its rate falls to zero along a cosine.
    """
    trained = [part.clone() for part in start]
    for tasks in _alike(features, labels, batch):
        seen, known = (features[tasks], labels[tasks]), [part[tasks] for part in fixed]
        parameters = [part[tasks] for part in start]
        optimisers = [optimiser(part) for part in parameters]
        rates = [each.rate for each in optimisers]
        order = _minibatches(seen[1], batch, epochs)
        for step, items in enumerate(order):
            slopes = gradients(*(_taken(part, items) for part in seen), *known, *parameters)
            for each, rate, slope in zip(optimisers, rates, slopes, strict=True):
                each.rate = rate * (1 + cos(pi * step / len(order))) / 2
                each.step(slope)
        for whole, part in zip(trained, parameters, strict=True):
            whole[tasks] = part
    return trained


def loss_slope(logits: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """The gradient (T, W, B) of the mean log loss by logits of this shape; labels (T, B) or -1, present (T, W)."""
    real = (labels >= 0).to(logits.dtype)[:, None]
    share = real / real.sum(2, keepdim=True)
    slope = logits.masked_fill(~present[..., None], -torch.inf).softmax(1).mul_(share)
    return slope.scatter_add_(1, labels.clamp(min=0)[:, None], -share)


def _alike(features: Tensor, labels: Tensor, batch: int) -> Iterator[Tensor]:
    """Tasks, by number, that need equally many minibatches; on a CPU as many at a time as fit in its cache."""
    minibatches = torch.ceil((labels >= 0).sum(1) / batch)
    at_once = len(features)
    if features.device.type == "cpu":
        at_once = max(1, GROUP_BYTES // (features[0].numel() * features.element_size()))
    for number in minibatches.unique():
        yield from (minibatches == number).nonzero()[:, 0].split(at_once)


def _minibatches(labels: Tensor, batch: int, epochs: int) -> list[Tensor | None]:
    """The items (T, B) of each step, which may be padding, or None for all; each epoch draws another order."""
    tasks, samples = labels.shape
    if samples <= batch:
        return [None] * epochs
    steps: list[Tensor | None] = []
    used = int((labels >= 0).sum(1).max())
    for epoch in range(epochs):
        draw = torch.Generator().manual_seed(epoch)  # an item draws the same number however many come after it
        place = torch.rand(samples, generator=draw, dtype=torch.float64).to(labels.device)
        order = place.expand(tasks, -1).masked_fill(labels < 0, 2.0).argsort(1)
        steps += order[:, :used].split(batch, 1)
    return steps


def _taken(part: Tensor, items: Tensor | None) -> Tensor:
    """The items (T, B) of features (T, S, D) or labels (T, S)."""
    if items is None:
        return part
    return part[torch.arange(len(part), device=part.device)[:, None], items]
