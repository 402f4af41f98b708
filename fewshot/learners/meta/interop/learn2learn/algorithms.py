"""learn2learn's algorithms as one of our meta-learners (Arnold et al. 2020)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from fewshot.errors import MissingPackage
from fewshot.learners.checks import check_positive, check_settings
from fewshot.learners.meta.engines.learn2learn import HOW_TO_INSTALL
from fewshot.learners.meta.meta_learner import MetaLearner, Outcome, register_meta_learner
from fewshot.learners.meta.tasks import Tasks


class Algorithm(nn.Module):
    """An algorithm of learn2learn's, which clones and adapts the network it holds: a backbone and a linear layer."""

    algorithm: Any

    def __init__(self, algorithm: nn.Module) -> None:
        super().__init__()
        self.algorithm = algorithm

    @property
    def backbone(self) -> nn.Module:
        """The network without its last layer."""
        return self.algorithm.module.backbone


@register_meta_learner(
    "learn2learn",
    paper="Arnold et al. 2020, learn2learn: A Library for Meta-Learning Research, arXiv:2008.12284",
)
@dataclass(frozen=True)
class Learn2Learn(MetaLearner):
    """An algorithm of learn2learn's, task by task through its `clone` and `adapt`.

    algorithm: "maml" (Finn et al. 2017), "meta-sgd" (Li et al. 2017), or "gbml", gradient descent whose gradients go
        through a learned `transform`: "scale" (as Meta-SGD), "kronecker" (Arnold et al. 2019), or "meta-curvature"
        (Park and Oliva 2019).
    inner_rate, inner_steps: of the adaptation; evaluation_steps: of that in evaluation. first_order: without second
        derivatives.

    Batch norm always takes the statistics of the images that go through together, as in learn2learn's own programs,
    which never leave training mode: predictions of a query depend on the other queries of its task.
    """

    fixed_ways = True

    algorithm: Literal["maml", "meta-sgd", "gbml"] = "maml"
    transform: Literal["scale", "kronecker", "meta-curvature"] = "scale"
    inner_rate: float = 0.5
    inner_steps: int = 1
    evaluation_steps: int = 1
    first_order: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        check_positive(self, "inner_rate", "inner_steps", "evaluation_steps")

    def model(self, backbone: nn.Module, dim: int, ways: int) -> nn.Module:
        """Backbone and a linear layer under the algorithm; raises `MissingPackage` without learn2learn."""
        learn2learn = _learn2learn()
        network = nn.Sequential(OrderedDict(backbone=backbone, head=nn.Linear(dim, ways)))
        given: dict[str, Any] = {"lr": self.inner_rate, "first_order": self.first_order}
        if self.algorithm == "gbml":
            return Algorithm(learn2learn.algorithms.GBML(network, transform=self._transform(learn2learn), **given))
        kind = {"maml": learn2learn.algorithms.MAML, "meta-sgd": learn2learn.algorithms.MetaSGD}[self.algorithm]
        return Algorithm(kind(network, **given))

    def backward(self, model: nn.Module, tasks: Tasks, progress: float) -> Outcome:
        """Add the gradient of the queries' mean cross-entropy after adaptation, one task after the other."""
        algorithm: Any = model.algorithm
        losses, logits = [], []
        for support, labels, query, truth in _each(tasks):
            learner = algorithm.clone()
            self._adapt(learner, support, labels, self.inner_steps, self.first_order)
            found = learner(query)
            loss = cross_entropy(found, truth)
            (loss / len(tasks)).backward()
            losses.append(loss.detach())
            logits.append(found.detach())
        return Outcome(torch.stack(losses).mean(), torch.stack(logits))

    def logits(self, model: nn.Module, tasks: Tasks) -> Tensor:
        """Logits (T, Q, ways) after `evaluation_steps`; neither weights nor running statistics change."""
        algorithm: Any = model.algorithm
        found = []
        for support, labels, query, _ in _each(tasks):
            with torch.enable_grad():
                learner = algorithm.clone()
                _use_batch_statistics(learner)
                self._adapt(learner, support, labels, self.evaluation_steps, first_order=True)
            with torch.no_grad():
                found.append(learner(query))
        return torch.stack(found)

    def _adapt(self, learner: Any, support: Tensor, labels: Tensor, steps: int, first_order: bool) -> None:
        for _ in range(steps):
            learner.adapt(cross_entropy(learner(support), labels), first_order=first_order)

    def _transform(self, learn2learn: Any) -> Any:
        """What GBML makes a module of for each parameter."""
        transforms = learn2learn.optim.transforms
        if self.transform == "scale":  # ModuleTransform(Scale) would take the size of the parameter as its value
            return lambda parameter: learn2learn.nn.Scale(parameter.shape)
        if self.transform == "kronecker":
            return transforms.KroneckerTransform(learn2learn.nn.KroneckerLinear)
        return transforms.MetaCurvatureTransform


def _each(tasks: Tasks) -> Any:
    return zip(tasks.support, tasks.support_labels, tasks.query, tasks.query_labels, strict=True)


def _use_batch_statistics(clone: nn.Module) -> None:
    """Let batch norms take the statistics of their batch and leave the running ones, which a clone shares, alone."""
    for module in clone.modules():
        if isinstance(module, _BatchNorm):
            module.train()
            module.track_running_stats = False


def _learn2learn() -> Any:
    try:
        import learn2learn
    except ImportError:
        raise MissingPackage("learn2learn", "the meta-learner learn2learn", how=HOW_TO_INSTALL) from None
    return learn2learn
