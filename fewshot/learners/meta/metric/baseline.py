"""Backbones pretrained to tell all base classes apart, and the classifiers put on them (Chen et al. 2019)."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.parametrizations import weight_norm

from fewshot.learners.checks import check_settings
from fewshot.learners.features import l2_normalize
from fewshot.learners.inductive import Cosine, Finetune
from fewshot.learners.learner import Learner
from fewshot.learners.meta.meta_learner import MetaLearner, Outcome, register_meta_learner
from fewshot.learners.meta.metric.metric_learner import at_least_float32, embedded
from fewshot.learners.meta.tasks import Tasks


class Classifier(nn.Module):
    """A backbone and a layer from its features to the base classes."""

    def __init__(self, backbone: nn.Module, layer: nn.Module) -> None:
        super().__init__()
        self.backbone, self.layer = backbone, layer

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, ...)."""
        return self.layer(self.backbone(images))


@dataclass(frozen=True)
class Pretraining(MetaLearner):
    """Learns to classify images of the base classes; few-shot tasks then get a learner on the frozen features.

    A batch is one task without support, whose queries are labelled by number of base class and whose ways are all base
    classes. Batch norm takes its statistics over the batch in training, and the running ones in evaluation.
    """

    episodic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_settings(self)

    @abstractmethod
    def layer(self, dim: int, classes: int) -> nn.Module:
        """From features (B, dim) to logits (B, classes) of the base classes."""

    @abstractmethod
    def learner(self) -> Learner:
        """The few-shot learner for new classes."""

    def model(self, backbone: nn.Module, dim: int, ways: int) -> nn.Module:
        """The classifier of all `ways` base classes."""
        return Classifier(backbone, self.layer(dim, ways))

    def backward(self, model: Any, tasks: Tasks, progress: float) -> Outcome:
        """Add the gradient of the mean cross-entropy of the batch."""
        logits = at_least_float32(model(tasks.query.flatten(0, 1)))
        loss = cross_entropy(logits, tasks.query_labels.flatten())
        loss.backward()
        return Outcome(loss.detach(), logits.detach()[None])

    @torch.no_grad()
    def logits(self, model: Any, tasks: Tasks) -> Tensor:
        """Logits (T, Q, ways) of the few-shot learner that has seen the support of each task."""
        support, query = embedded(model.backbone, tasks)
        with torch.autocast(query.device.type, enabled=False):
            return self.learner().fit(support.features, support.labels, support.ways)(query)


@register_meta_learner("baseline", paper="Chen et al. 2019, A Closer Look at Few-shot Classification, arXiv:1904.04232")
@dataclass(frozen=True)
class Baseline(Pretraining):
    """A linear layer over base classes; new classes get a linear head trained by gradient descent (`finetune`)."""

    def layer(self, dim: int, classes: int) -> nn.Module:
        """A linear layer, weights and bias, from (B, dim) to (B, classes)."""
        return nn.Linear(dim, classes)

    def learner(self) -> Learner:
        """`Finetune`: a linear head, trained on the support by gradient descent."""
        return Finetune()


class CosineLayer(nn.Module):
    """Cosines to a vector of each class, times a learned norm of each class and a fixed scale."""

    def __init__(self, dim: int, classes: int, scale: float) -> None:
        super().__init__()
        self.scale, self.vectors = scale, weight_norm(nn.Linear(dim, classes, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, classes) of features (B, dim)."""
        return self.scale * self.vectors(l2_normalize(features))


@register_meta_learner(
    "baseline++", paper="Chen et al. 2019, A Closer Look at Few-shot Classification, arXiv:1904.04232"
)
@dataclass(frozen=True)
class BaselinePlusPlus(Pretraining):
    """Cosines instead of a linear layer, for base classes and for new ones (`cosine`).

    They are scaled by 2, and by 10 for more than 200 classes, as the authors do.
    """

    def layer(self, dim: int, classes: int) -> nn.Module:
        """A `CosineLayer` from (B, dim) to (B, classes), with the authors' scale for so many classes."""
        return CosineLayer(dim, classes, 2 if classes <= 200 else 10)

    def learner(self) -> Learner:
        """`Cosine`: a vector a class, trained on the support by gradient descent."""
        return Cosine()
