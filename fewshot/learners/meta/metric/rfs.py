"""RFS: a good embedding is all you need, distilled into itself once more (Tian et al. 2020, section 3.3 and eq. 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint
from fewshot.learners.checks import check_positive
from fewshot.learners.inductive import Logistic
from fewshot.learners.learner import Learner
from fewshot.learners.meta.meta_learner import Outcome, register_meta_learner
from fewshot.learners.meta.metric.baseline import Pretraining
from fewshot.learners.meta.metric.metric_learner import at_least_float32
from fewshot.learners.meta.tasks import Tasks

if TYPE_CHECKING:
    from fewshot.backbones import Preprocessing
    from fewshot.learners.meta.training.meta_model import MetaModel


@register_meta_learner("rfs", paper="Tian et al. 2020, Rethinking Few-Shot Image Classification, arXiv:2003.11539")
@dataclass(frozen=True)
class RFS(Pretraining):
    """A linear layer over base classes; new classes get logistic regression on features of length 1 (`logistic`).

    teacher: a checkpoint of an earlier training on labelled batches of the same images, by `rfs` or one of the
    baselines. Its probabilities, softened by `temperature`, are then learned too, with the weight `soft`, and the
    labels with the rest (self-distillation; the authors take 0.5 and 4). It is read when a training starts, and known
    by its content.
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

    def files(self, record: dict[str, Any], preprocess: Preprocessing) -> dict[str, str]:
        """The fingerprint of the teacher's file, if there is one.

        Raises `UnreadableFile` where it is no checkpoint, and `InvalidInput` unless it was trained on labelled batches
        of the same images and classes, prepared in the same way.
        """
        self.__dict__.pop("_taught_by", None)  # another file may have taken its place since an earlier training
        if not self.teacher:
            return {}
        _check_teacher(self.teacher, self._taught_by, record, preprocess)
        return {"teacher": fingerprint(Path(self.teacher).read_bytes())}

    @cached_property
    def _taught_by(self) -> MetaModel:
        from fewshot.learners.meta.training.meta_model import MetaModel

        teacher = MetaModel.load(self.teacher, "cpu")
        teacher.model.eval().requires_grad_(False)
        return teacher

    def backward(self, model: Any, tasks: Tasks, progress: float) -> Outcome:
        """Add the gradient of the cross-entropy, mixed with the divergence from the teacher if there is one."""
        if not self.teacher:
            return super().backward(model, tasks, progress)
        images, labels = tasks.query.flatten(0, 1), tasks.query_labels.flatten()
        logits = at_least_float32(model(images))
        with torch.no_grad():
            taught = at_least_float32(self._taught_by.model.to(images.device)(images))
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


def _check_teacher(path: str, teacher: MetaModel, record: dict[str, Any], preprocess: Preprocessing) -> None:
    """Raise `InvalidInput` unless the teacher labels the images of a training as the training itself does."""
    if teacher.learner.episodic:
        raise InvalidInput(
            f"rfs: the teacher {path} is a model of {teacher.learner.name}, trained on tasks; needed is one trained on "
            f"labelled batches of {_classes(record)}: train it with rfs, baseline or baseline++ on these"
        )
    theirs, ours = ((each["ways"], _entry(each, "dataset", "fingerprint")) for each in (teacher.record, record))
    if theirs != ours:
        raise InvalidInput(
            f"rfs: the teacher {path} is a model of {teacher.learner.name}, trained on {_classes(teacher.record)}; "
            f"needed is one trained on labelled batches of the same images, {_classes(record)}: train it on these"
        )
    prepared, wanted = dict(teacher.network.preprocess.settings), dict(preprocess.settings)
    if prepared != wanted:
        raise InvalidInput(
            f"rfs: the teacher {path} is a {teacher.record['backbone']}, which takes images prepared by {prepared}, "
            f"and the student's {record['backbone']} takes them by {wanted}; train a teacher that takes the same"
        )


def _classes(record: dict[str, Any]) -> str:
    name, split, known = (_entry(record, "dataset", what) for what in ("name", "split", "fingerprint"))
    turned = "with" if _entry(record, "training", "rotations") else "without"
    return f"{record['ways']} classes of {name} ({split}, fingerprint {known}) {turned} rotations"


def _entry(record: dict[str, Any], part: str, name: str) -> Any:
    return (record.get(part) or {}).get(name)
