"""Meta-SGD: MAML whose rates, one for each number of each parameter, are learned too (Li et al. 2017, eq. 3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from fewshot.errors import InvalidInput
from fewshot.learners.meta.gradient.inner_loop import Rate
from fewshot.learners.meta.gradient.learner import GradientLearner
from fewshot.learners.meta.gradient.model import GradientModel
from fewshot.learners.meta.meta_learner import register_meta_learner


@register_meta_learner(
    "meta-sgd", paper="Li et al. 2017, Meta-SGD: Learning to Learn Quickly for Few-Shot Learning, arXiv:1707.09835"
)
@dataclass(frozen=True)
class MetaSGD(GradientLearner):
    """All parameters adapt, in one step, at learned rates, which may become negative.

    inner_rate: the largest of the first rates; they are drawn evenly between `smallest_rate` and it (section 4.2).
    The rates are parameters of the model, `rates.*`.
    """

    inner_rate: float = 0.1
    smallest_rate: float = 0.005
    evaluation_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.smallest_rate <= self.inner_rate:
            raise InvalidInput(
                f"{self.name}: smallest_rate must be between 0 and inner_rate={self.inner_rate}, "
                f"found {self.smallest_rate}"
            )

    def adapts(self, name: str) -> bool:
        """Whether it is no rate: all parameters adapt but these."""
        return not name.startswith("rates.")

    def model(self, backbone: nn.Module, dim: int, ways: int) -> GradientModel:
        """Backbone and head, and a rate for each of their numbers, drawn between `smallest_rate` and `inner_rate`."""
        model = super().model(backbone, dim, ways)
        model.rates = nn.ParameterDict(
            {
                _key(name): torch.empty_like(model.get_parameter(name)).uniform_(self.smallest_rate, self.inner_rate)
                for name in super().rates(model)
            }
        )
        return model

    def rates(self, model: nn.Module) -> Mapping[str, Rate]:
        """The learned rates by the name of the parameter, each of that parameter's shape."""
        return {name: model.get_parameter(f"rates.{_key(name)}") for name in super().rates(model)}


def _key(name: str) -> str:
    """A parameter's name without dots, which names within a module cannot hold."""
    return name.replace(".", "-")
