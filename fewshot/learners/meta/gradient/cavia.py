"""CAVIA: a task is learned by a few context parameters alone (Zintgraf et al. 2019, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.meta.engines.folding import FOLDS, Folded
from fewshot.learners.meta.gradient.batch_norm import TaskBatchNorm
from fewshot.learners.meta.gradient.inner_loop import State
from fewshot.learners.meta.gradient.learner import GradientLearner
from fewshot.learners.meta.gradient.model import GradientModel
from fewshot.learners.meta.meta_learner import Outcome, register_meta_learner
from fewshot.learners.meta.tasks import Tasks


class Context(nn.Module):
    """Changes what the layer before gives by a context of a few numbers, which is zero before a task is learned.

    Images (B, C, H, W): each channel times a scale plus a shift, both linear in the context (FiLM, Perez et al. 2018).
    Vectors (B, C): a shift alone, which is what further inputs of the linear layer before would add.
    """

    def __init__(self, size: int, channels: int, images: bool) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.zeros(size))
        self.shift = nn.Linear(size, channels, bias=images)
        self.scale = nn.Linear(size, channels) if images else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (B, C, ...), changed."""
        rest = (-1, *[1] * (inputs.ndim - 2))
        changed = inputs + self.shift(self.context).view(rest)
        if self.scale is None:
            return changed
        return changed + inputs * self.scale(self.context).view(rest)


def _folded(layer: Context, name: str) -> Folded:
    """The layer for T tasks at once, each with its own context (T, size)."""

    def folded(state: State, inputs: Tensor, tasks: int) -> Tensor:
        context = state[f"{name}.context"].expand(tasks, -1)

        def each(part: str) -> Tensor:
            values = context @ state[f"{name}.{part}.weight"].mT + state.get(f"{name}.{part}.bias", 0)
            return values[:, None] if inputs.ndim == 3 else values.flatten()[:, None, None]

        return inputs + each("shift") + (0 if layer.scale is None else inputs * each("scale"))

    return folded


FOLDS[Context] = _folded
_WIDTHS = ("channels", "out_channels", "out_features")  # what the kinds of layers call their number of outputs


@register_meta_learner(
    "cavia", paper="Zintgraf et al. 2019, Fast Context Adaptation via Meta-Learning, arXiv:1810.03642"
)
@dataclass(frozen=True)
class CAVIA(GradientLearner):
    """Only a context of `context` numbers adapts, from zero; backbone and head are the same for all tasks.

    layer: the name of the backbone's layer that the context changes; by default the third batch norm, or convolution
    where there is none, as in the paper's network for images, and the first linear layer of a network of vectors. The
    defaults are the paper's for images; for the sinusoid it takes 5 numbers and one step. A channel's scale is 1 plus
    what is learned, where the authors' code begins near 0.
    """

    inner_rate: float = 1.0
    inner_steps: int = 2
    evaluation_steps: int = 2
    context: int = 100
    layer: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "context")

    def model(self, backbone: nn.Module, dim: int, ways: int) -> GradientModel:
        """Backbone with a context, and head."""
        model = super().model(backbone, dim, ways)
        _insert(model.backbone, self.layer or _usual_layer(model.backbone), self.context)
        return model

    def adapts(self, name: str) -> bool:
        """Whether it is the context: only that adapts to a task."""
        return name.endswith(".film.context")

    def backward(self, model: nn.Module, tasks: Tasks, progress: float) -> Outcome:
        """Add the meta-gradient to `.grad`; that of the context is zero, since it begins at zero for every task."""
        outcome = super().backward(model, tasks, progress)
        for name in self.rates(model):
            model.get_parameter(name).grad = torch.zeros_like(model.get_parameter(name))
        return outcome


def _usual_layer(backbone: nn.Module) -> str:
    for kind, place in ((TaskBatchNorm, 2), (nn.Conv2d, 2), (nn.Linear, 0)):
        names = [name for name, layer in backbone.named_modules() if isinstance(layer, kind)]
        if names:
            return names[min(place, len(names) - 1)]
    raise InvalidInput("cavia: the backbone has no batch norm, convolution or linear layer for the context to change")


def _insert(backbone: nn.Module, name: str, size: int) -> None:
    """Put a `Context` called `film` behind the layer of that name; the names of the others stay."""
    path, _, last = name.rpartition(".")
    layers = dict(backbone.named_modules())
    layer, parent = layers.get(name), layers.get(path)
    width = next((found for key in _WIDTHS if (found := getattr(layer, key, None)) is not None), None)
    if parent is None or width is None or type(parent).forward is not nn.Sequential.forward:
        raise InvalidInput(
            f"cavia: layer {name!r} must be a batch norm, convolution or linear layer of an nn.Sequential of the "
            f"backbone, whose layers are {', '.join(key for key in layers if key)}"
        )
    children = list(parent.named_children())
    for key, child in children:  # all again, in their order
        delattr(parent, key)
        parent.add_module(key, child)
        if key == last:
            parent.add_module("film", Context(size, width, images=not isinstance(layer, nn.Linear)))
