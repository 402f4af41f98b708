"""RFS: a good embedding is all you need, distilled into itself once more (Tian et al. 2020, section 3.3 and eq. 6)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.inductive import Logistic
from fewshot.learners.learner import Learner
from fewshot.learners.meta.meta_learner import Outcome, register_meta_learner
from fewshot.learners.meta.metric.baseline import Pretraining
from fewshot.learners.meta.metric.metric_learner import at_least_float32
from fewshot.learners.meta.tasks import Tasks


@register_meta_learner("rfs", paper="Tian et al. 2020, Rethinking Few-Shot Image Classification, arXiv:2003.11539")
@dataclass(frozen=True)
class RFS(Pretraining):
    """A linear layer over base classes; new classes get logistic regression on features of length 1 (`logistic`).

    teacher: a checkpoint of an earlier training on the same base classes. Its probabilities, softened by `temperature`,
    are then learned too, with the weight `soft`, and the labels with the rest (self-distillation; the authors take 0.5
    and 4).
    """

    teacher: str = ""
    temperature: float = 4.0
    soft: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "temperature")
        if not 0 <= self.soft <= 1:
            raise InvalidInput(f"rfs: soft is a share between 0 and 1, found {self.soft}")

    def layer(self, dim: int, classes: int) -> nn.Module:
        """A linear layer, weights and bias, from (B, dim) to (B, classes)."""
        return nn.Linear(dim, classes)

    def learner(self) -> Learner:
        """`Logistic`: logistic regression on features of length 1."""
        return Logistic()

    def backward(self, model: Any, tasks: Tasks, progress: float) -> Outcome:
        """Add the gradient of the cross-entropy, mixed with the divergence from the teacher if there is one."""
        if not self.teacher:
            return super().backward(model, tasks, progress)
        images, labels = tasks.query.flatten(0, 1), tasks.query_labels.flatten()
        logits = at_least_float32(model(images))
        with torch.no_grad():
            taught = at_least_float32(_teacher(self.teacher, str(images.device))(images))
        if taught.shape != logits.shape:
            raise InvalidInput(
                f"rfs: the teacher {self.teacher} tells {taught.shape[1]} base classes apart and this training has "
                f"{logits.shape[1]}; train it on the same"
            )
        loss = (1 - self.soft) * cross_entropy(logits, labels) + self.soft * divergence(
            logits, taught, self.temperature
        )
        loss.backward()
        return Outcome(loss.detach(), logits.detach()[None])


def divergence(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the student from its teacher, both (B, classes), softened by a temperature.

    It is multiplied by the square of the temperature, so that its gradient keeps its size (Hinton et al. 2015).
    """
    student, teacher = (each.div(temperature).log_softmax(1) for each in (logits, taught))
    return temperature**2 * kl_div(student, teacher, reduction="batchmean", log_target=True)


@lru_cache(maxsize=2)
def _teacher(path: str, device: str) -> nn.Module:
    from fewshot.learners.meta.training.meta_model import MetaModel

    return MetaModel.load(path, device).model.eval().requires_grad_(False)
