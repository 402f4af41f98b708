"""Distribution calibration: samples around the support, spread as in similar base classes (Yang et al. 2021)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from fewshot.errors import FewshotWarning
from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.distances import squared_distance
from fewshot.learners.features import power_transform
from fewshot.learners.inductive.logistic_of_many import logistic_of_many
from fewshot.learners.learner import Learner
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.support import Support

BYTES = 64 << 20  # of samples at a time


@dataclass(frozen=True)
class Spread:
    """How features of base classes vary.

    means (C, D) of the classes; axes (D, D), whose columns are directions without correlation, and variances (D,)
    along these; noise (C, samples, D) in these axes, whose sum over the nearest classes of an item, so many as
    `neighbours`, is how a sample deviates from its mean.
    """

    means: Tensor
    axes: Tensor
    variances: Tensor
    noise: Tensor
    neighbours: int


@register_learner(
    "distribution-calibration",
    paper="Yang et al. 2021, Free Lunch for Few-shot Learning: Distribution Calibration, arXiv:2101.06395",
)
@dataclass(frozen=True)
class DistributionCalibration(Learner):
    """Logistic regression on the support and on samples of Gaussians that borrow from the nearest base classes.

    The Gaussian of a support item has the mean of the item and of its nearest base classes, and the mean of their
    covariances with a constant added to every entry (eq. 5 and 6). neighbours: how many base classes; spread: the
    constant; samples: for each class, shared among its items; power and base_power: exponents of the features of the
    task and of the base classes (eq. 3; the paper leaves the latter as they are); C: weight of the log loss against
    half the squared weights; steps: the most that the solver takes.

    Tasks and classes share their random numbers, so that a prediction depends on nothing but its task. They are kept
    with the base statistics: base classes x samples x dimensions, 245 MB for 64 classes in 1,280 dimensions.
    """

    neighbours: int = 2
    spread: float = 0.21
    samples: int = 750
    power: float = 0.5
    base_power: float = 1.0
    C: float = 1.0
    steps: int = 300

    needs_base_classes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "neighbours", "samples", "power", "base_power", "C", "steps")
        check_not_negative(self, "spread")

    def learn(self, support: Support) -> dict[str, Tensor]:
        """Weight (T, ways, D) and bias (T, 1, ways)."""
        assert support.base is not None
        base = spread_of(support.base, self.base_power, self.spread, self.neighbours, self.samples)
        features = power_transform(support.features, self.power) * support.real
        near = squared_distance(features, base.means).topk(base.neighbours, largest=False).indices
        centres = (features + base.means[near].sum(2)) / (base.neighbours + 1)
        item, used = shares(features.sum(2), support.members, self.samples)
        turned = [features @ base.axes, centres @ base.axes]
        size = max(1, BYTES // (item[0].numel() * (features.shape[2] + 4 * support.ways) * features.element_size()))
        blocks = [whole.split(size) for whole in (*turned, support.members, near, item, used)]
        parts = [_fitted(base, self.C, self.steps, *block) for block in zip(*blocks, strict=True)]
        weight, bias, converged = (torch.cat(whole) for whole in zip(*parts, strict=True))
        if not converged.all():
            warnings.warn(
                f"distribution-calibration: {int((~converged).sum())} of {len(converged)} tasks had not converged "
                f"after {self.steps} steps; raise steps or lower C",
                FewshotWarning,
                stacklevel=3,
            )
        return {"weight": weight @ base.axes.mT, "bias": bias}

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways), linear in the query (T, Q, D) after its power transform."""
        return power_transform(query, self.power) @ state["weight"].mT + state["bias"]


def _fitted(
    base: Spread,
    C: float,
    steps: int,
    features: Tensor,
    centres: Tensor,
    members: Tensor,
    near: Tensor,
    item: Tensor,
    used: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Weight (T, ways, D), bias (T, 1, ways), and which tasks converged; all in the axes of the base."""
    tasks, ways, count = item.shape
    real = members.sum(2, keepdim=True)
    origin = (centres * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
    item = item.flatten(1)[..., None]
    number = torch.arange(count).to(item).repeat(ways)[:, None]
    draw = near.gather(1, item.expand(-1, -1, near.shape[2])) * count + number
    samples = embedding_bag(draw.flatten(0, 1), base.noise.flatten(0, 1), mode="sum").view(tasks, ways * count, -1)
    samples += (centres - origin).gather(1, item.expand_as(samples))
    if not used.all():
        samples *= used.flatten(1)[..., None]
    rows = torch.cat([(features - origin) * real, samples], 1)
    drawn = torch.eye(ways).to(rows).repeat_interleave(count, 1) * used.flatten(1)[:, None]
    weight, bias, converged = logistic_of_many(rows, torch.cat([members.mT, drawn], 2), base.variances, C, steps)
    return weight, bias.mT - origin @ weight.mT, converged


def shares(key: Tensor, members: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """The support item (T, W, samples) that each sample of a class is drawn for, and whether it is drawn at all.

    Items of a class get equally many. key (T, S) orders them, so that it does not matter in what order they were given.
    """
    belongs = members.mT > 0
    ranked = key[:, None].masked_fill(~belongs, torch.inf).argsort(dim=2, stable=True)
    counts = belongs.sum(2, keepdim=True)
    rank = torch.arange(samples, device=key.device) // (samples // counts.clamp(min=1)).clamp(min=1)
    return ranked.gather(2, rank.clamp(max=key.shape[1] - 1)), rank < counts


_KEPT: WeakKeyDictionary[BaseStatistics, dict[tuple[float, ...], Spread]] = WeakKeyDictionary()


def spread_of(base: BaseStatistics, power: float, spread: float, neighbours: int, samples: int) -> Spread:
    """Draws with the covariance of each class, the same at every call.

    A sum of a class's deviations with normal weights has their covariance, so that is never built.
    """
    kept, settings = _KEPT.setdefault(base, {}), (power, spread, neighbours, samples)
    if settings not in kept:
        assert base.features is not None
        base = replace(base, features=power_transform(base.features, power))
        near = min(neighbours, len(base.class_means))
        axes = torch.linalg.eigh(in_float64(base.within_covariance) + spread)
        variances, axes = (part.to(base.class_means) for part in axes)
        generator = torch.Generator().manual_seed(0)
        normal = partial(torch.randn, generator=generator, dtype=torch.float64)
        shift = spread**0.5 * normal(samples, 1).to(axes) @ axes.sum(0, keepdim=True)
        noise = base.class_means.new_empty(len(base.class_means), samples, axes.shape[1])
        for draws, part in zip(noise, base.deviations.split(base.class_counts.tolist()), strict=True):
            within = normal(samples, len(part)).to(part) @ (part @ axes) / max(1, len(part) - 1) ** 0.5
            draws.copy_(within / near**0.5 + shift / near)
        kept[settings] = Spread(base.class_means, axes, variances.clamp(min=0), noise, near)
    return kept[settings]
