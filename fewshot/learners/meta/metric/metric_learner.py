"""What learners of a metric share: one pass through the backbone for all images of all tasks, then a head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.modules.batchnorm import _BatchNorm

from fewshot.learners.checks import check_settings
from fewshot.learners.learner import Learner
from fewshot.learners.meta.meta_learner import MetaLearner, Outcome
from fewshot.learners.meta.tasks import Tasks
from fewshot.learners.support import Support
from fewshot.learners.trained import EpisodicNetwork


class MetricModel(nn.Module):
    """A backbone and the head on its features, trained together."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head


class LearnerHead(EpisodicNetwork):
    """A learner through which gradients pass to the features, its logits times a learned scale if one is given."""

    def __init__(self, learner: Learner, scale: float | None = None) -> None:
        super().__init__()
        self.learner = learner
        self.scale = None if scale is None else nn.Parameter(torch.tensor(float(scale)))

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The learner's own state, with the graph to the features."""
        return self.learner.learn(support)

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The learner's logits (T, Q, ways), times the learned scale where there is one."""
        logits = self.learner.score(state, query, mask)
        return logits if self.scale is None else self.scale * logits


@dataclass(frozen=True)
class MetricLearner(MetaLearner):
    """A meta-learner whose classifier is a differentiable function of features: one pass forward, one backward.

    All images of a batch of tasks, support and queries, go through the backbone together. In evaluation batch norm
    takes its running statistics, so that no prediction depends on other queries or tasks. The head serves any number of
    ways, and computes in full precision under autocast too.

    batch_norm: what it takes in training: "batch", the statistics of all images of a step, by which the running ones
    move; or "running", which leaves them as they are, for a pretrained backbone: the few classes of a step are unlike
    what it was trained on.
    """

    batch_norm: Literal["batch", "running"] = field(default="batch", kw_only=True)

    def __post_init__(self) -> None:
        check_settings(self)

    @abstractmethod
    def head(self, dim: int) -> EpisodicNetwork:
        """The head before training, for features of `dim` dimensions."""

    def loss(self, head: EpisodicNetwork, support: Support, query: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What training makes small, and the logits (T, Q, ways): the mean cross-entropy of query labels (T, Q)."""
        logits = head.logits(support, query)
        return cross_entropy(logits.flatten(0, 1), labels.flatten()), logits

    def model(self, backbone: nn.Module, dim: int, ways: int) -> nn.Module:
        """Backbone and head; `ways` does not matter."""
        return MetricModel(backbone.to(memory_format=torch.channels_last), self.head(dim))

    def backward(self, model: Any, tasks: Tasks, progress: float) -> Outcome:
        """Add the gradient of the mean loss of all queries."""
        if self.batch_norm == "running":
            _keep_running_statistics(model.backbone)
        support, query = embedded(model.backbone, tasks)
        with torch.autocast(query.device.type, enabled=False):
            loss, logits = self.loss(model.head, support, query, tasks.query_labels)
        loss.backward()
        return Outcome(loss.detach(), logits.detach())

    @torch.no_grad()
    def logits(self, model: Any, tasks: Tasks) -> Tensor:
        """The head's logits (T, Q, ways)."""
        support, query = embedded(model.backbone, tasks)
        with torch.autocast(query.device.type, enabled=False):
            return model.head.logits(support, query)


def _keep_running_statistics(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def embedded(backbone: nn.Module, tasks: Tasks) -> tuple[Support, Tensor]:
    """The support with its features (T, S, D) and the features of the queries (T, Q, D), in one pass."""
    images = torch.cat([tasks.support, tasks.query], 1)
    features = at_least_float32(backbone(images.flatten(0, 1))).unflatten(0, images.shape[:2])
    support, query = features.split([tasks.support.shape[1], tasks.query.shape[1]], 1)
    present = torch.ones(len(tasks), tasks.ways, dtype=torch.bool, device=query.device)
    labels = tasks.support_labels
    return Support(support, labels, present, support[:, :0], labels[:, :0] >= 0), query


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision, as autocast leaves it, raised to float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
