"""DELTA: the maps of the layers stay near those of the pretrained network (Li et al. 2019, arXiv:1901.09229)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput
from fewshot.transfer.finetuning.regularisers.feature_maps import filter_count, noted, remember, without_filter
from fewshot.transfer.finetuning.regularisers.regulariser import Pass, Penalty, Regulariser, register_regulariser

if TYPE_CHECKING:
    from fewshot.transfer.finetuning.images import LabelledImages
    from fewshot.transfer.finetuning.model import TransferModel

_PROBE = (100, 0.01)  # steps and rate of the classifier on fixed features that the weights are measured with
_LOOKED_AT = 64  # images that the weights are measured on


def map_distance(maps: Tensor, start: Tensor, weights: Tensor) -> Tensor:
    """sum_j w_j |FM_j - FM_j^0|^2 / (H W), averaged over images: eq. 4, per position so that sizes do not matter.

    maps, start (B, C, H, W) or tokens (B, N, C); weights (C,), of the filters.
    """
    squared = (maps - start).square()
    by_filter = squared.mean((0, 1)) if maps.ndim == 3 else squared.mean((0, *range(2, maps.ndim)))
    return (weights * by_filter).sum()


def filter_weights(without: Tensor, whole: float | Tensor) -> Tensor:
    """Attention (C,): softmax_j(L without filter j - L), eq. 5: how much the loss grows when a filter is taken out."""
    return torch.softmax(without - whole, dim=0)


@register_regulariser(
    "delta", paper="Li et al. 2019, DELTA: Deep learning transfer using feature map with attention, arXiv:1901.09229"
)
@dataclass(frozen=True)
class Delta(Regulariser):
    """Keeps the maps of each trained stage near those of the pretrained network, and the head small.

    weights: "uniform", or "attention" by how much each filter matters for the new classes, which costs a pass over up
    to 64 images for each filter.
    """

    alpha: float = 0.1
    beta: float = 0.01
    weights: Literal["uniform", "attention"] = "uniform"

    needs_images = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights not in ("uniform", "attention"):
            raise InvalidInput(f"weights of delta must be uniform or attention, found {self.weights!r}")

    def begin(self, model: TransferModel, images: LabelledImages) -> Penalty:
        """Keep a copy of the network as it is, and weigh its filters."""
        source = deepcopy(model.trunk).eval().requires_grad_(False)
        modules = dict(source.named_modules())
        stages = [unit.name for unit in model.units if unit.name in modules]
        weigh = _attention if self.weights == "attention" else _uniform
        weights = weigh(source, stages, model, images)
        last: dict[str, Tensor] = {}
        remember(model.trunk, stages, last, learning=True)

        def penalty(step: Pass) -> Tensor:
            kept: dict[str, Tensor] = {}
            with torch.no_grad(), noted(source, stages, kept):
                source(step.images)
            now = {name: last.pop(name) for name in stages}  # lets go of what the pass holds
            moved = [map_distance(now[name], kept[name], weights[name]) for name in stages if now[name].requires_grad]
            head = [weight.square().sum() for weight in model.head.parameters()]
            return self.alpha * sum(moved, step.logits.new_zeros(())) + self.beta / 2 * sum(head)

        return penalty


def _uniform(
    source: nn.Module, stages: Sequence[str], model: TransferModel, images: LabelledImages
) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}
    with torch.no_grad(), noted(source, stages, kept):
        source(images.floats(images.pixels[:1].to(model.device)))
    counts = {name: filter_count(maps) for name, maps in kept.items()}
    return {name: torch.full((count,), 1 / count, device=model.device) for name, count in counts.items()}


def _attention(
    source: nn.Module, stages: Sequence[str], model: TransferModel, images: LabelledImages
) -> dict[str, Tensor]:
    """Of each stage (C,), by the loss of a linear classifier that is trained on the source's features."""
    every = torch.linspace(0, len(images) - 1, min(_LOOKED_AT, len(images))).long()
    inputs, labels = images.floats(images.pixels[every].to(model.device)), images.labels[every].to(model.device)
    with torch.no_grad():
        features = source(inputs)
    classifier = _fitted(features, labels, len(images.class_names))
    whole = cross_entropy(classifier(features), labels)
    found: dict[str, Tensor] = {}
    for name, uniform in _uniform(source, stages, model, images).items():
        losses = []
        for place in range(len(uniform)):
            with torch.no_grad(), without_filter(source.get_submodule(name), place):
                losses.append(cross_entropy(classifier(source(inputs)), labels))
        found[name] = filter_weights(torch.stack(losses), whole).detach()
    return found


def _fitted(features: Tensor, labels: Tensor, classes: int) -> nn.Linear:
    """A linear classifier of fixed features, from zero."""
    classifier = nn.Linear(features.shape[1], classes, device=features.device)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    steps, rate = _PROBE
    optimiser = torch.optim.Adam(classifier.parameters(), rate)
    with torch.enable_grad():
        for _ in range(steps):
            optimiser.zero_grad()
            cross_entropy(classifier(features), labels).backward()
            optimiser.step()
    return classifier.requires_grad_(False)
