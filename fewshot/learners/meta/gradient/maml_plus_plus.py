"""MAML++: MAML with the changes that make its training stable (Antoniou et al. 2019, section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from fewshot.errors import InvalidInput
from fewshot.learners.meta.gradient.batch_norm import BatchNormMode
from fewshot.learners.meta.gradient.inner_loop import InnerLoop
from fewshot.learners.meta.gradient.learner import GradientLearner
from fewshot.learners.meta.gradient.model import GradientModel
from fewshot.learners.meta.meta_learner import Outcome, register_meta_learner
from fewshot.learners.meta.tasks import Tasks

LEAST = 0.03  # share of its first weight that the loss after an early step keeps, in the authors' code


@register_meta_learner("maml++", paper="Antoniou et al. 2019, How to train your MAML, arXiv:1810.09502")
@dataclass(frozen=True)
class MAMLPlusPlus(GradientLearner):
    """Query losses after every step, a learned rate for each parameter and step, and batch norm of each step's own.

    multi_step: share of the training in which the losses after early steps count, less and less (MSL).
    first_order_until: share of the training, from its start, without second derivatives (DA).
    inner_rate is what the rates start from (LSLR); they are the model's parameter `rates` (inner_steps, parameters that
    adapt). Steps beyond `inner_steps` in evaluation are taken like the last. The paper's outer rate falls by a cosine,
    which is the trainer's `schedule="cosine"`. The defaults are the paper's, or those of its authors' code, for
    Omniglot: 15 and 50 of 150 epochs.
    """

    inner_rate: float = 0.1
    inner_steps: int = 5
    evaluation_steps: int = 5
    batch_norm: BatchNormMode = "per-step"
    multi_step: float = 0.1
    first_order_until: float = 1 / 3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("multi_step", "first_order_until"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(
                    f"{self.name}: {name} is a share of the training, from 0 to 1, found {getattr(self, name)}"
                )

    def adapts(self, name: str) -> bool:
        """All but the rates; weight and bias of batch norms per step are left out too."""
        return name != "rates"

    def model(self, backbone: nn.Module, dim: int, ways: int) -> GradientModel:
        """Backbone and head, and rates (inner_steps, parameters that adapt), which all start at `inner_rate`."""
        model = super().model(backbone, dim, ways)
        model.rates = nn.Parameter(torch.full((self.inner_steps, len(self.rates(model))), self.inner_rate))
        return model

    def inner_loop(self, model: nn.Module, steps: int) -> InnerLoop:
        """The steps with their learned rates."""
        names, learned = self.rates(model), model.get_parameter("rates")
        rates = [dict(zip(names, learned[min(step, self.inner_steps - 1)], strict=True)) for step in range(steps)]
        return replace(super().inner_loop(model, steps), rates=rates)

    def backward(self, model: nn.Module, tasks: Tasks, progress: float) -> Outcome:
        """Add the meta-gradient to `.grad`, with the loss and the order of derivatives of this part of the training."""
        loop = replace(
            self.inner_loop(model, self.inner_steps),
            importance=step_weights(progress, self.inner_steps, self.multi_step),
            first_order=self.first_order or progress < self.first_order_until,
        )
        return self.chosen_engine(model, tasks).backward(model, tasks, loop)


def step_weights(progress: float, steps: int, share: float) -> list[float]:
    """Weights of the query losses after each step, which add up to 1 (v_i of section 4, MSL).

    Equal at first; over a `share` of the training those of early steps fall to 3 % and then to zero, for the last one.
    """
    early = max(1 - progress / share, LEAST) / steps if progress < share else 0.0
    return [early] * (steps - 1) + [1 - early * (steps - 1)]
