"""What every meta-learner is: settings, the model it trains, the gradient of a batch of tasks, and predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from torch import Tensor, nn

from fewshot.learners.meta.tasks import Tasks
from fewshot.registry import MethodRegistry

if TYPE_CHECKING:
    from fewshot.backbones import Preprocessing


@dataclass(frozen=True)
class Outcome:
    """What a batch of tasks gave: the mean loss (no graph), and the logits (T, Q, ways) of its queries (no graph)."""

    loss: Tensor
    logits: Tensor


@dataclass(frozen=True)
class MetaLearner(ABC):
    """Trains a backbone across tasks, so that a few examples of new classes suffice.

    A meta-learner is a frozen dataclass whose fields are its settings. It holds no weights: these are in the module
    that `model` makes, which the trainer moves, optimises, saves and loads. The trainer puts the model into training
    mode before `backward` and into evaluation mode before `logits`.

    fixed_ways: the model has one output a class, so that all tasks have as many classes as it was made for.
    regression: tasks have float labels and the loss is the mean squared error.
    episodic: it is trained on tasks; else on labelled batches of all training classes, which come as one task with an
        empty support (1, 0, ...), the batch as queries (1, B, ...) and the training classes as ways.
    step_buffers: how the names begin of buffers that `backward` changes and the next step computes with, "" for none;
        several processes average them at each step. Other buffers they average when they validate.
    """

    name: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    fixed_ways: ClassVar[bool] = False
    regression: ClassVar[bool] = False
    episodic: ClassVar[bool] = True
    step_buffers: ClassVar[str] = ""

    @abstractmethod
    def model(self, backbone: nn.Module, dim: int, ways: int) -> nn.Module:
        """The module to train, with `backbone` (inputs (B, ...) to features (B, dim)) as its attribute `backbone`."""

    @abstractmethod
    def backward(self, model: nn.Module, tasks: Tasks, progress: float) -> Outcome:
        """Add the gradient of the mean loss of `tasks` to `.grad` of the model's parameters.

        progress: the share of the training that is done, in [0, 1), for learners whose loss changes on the way.
        """

    @abstractmethod
    def logits(self, model: nn.Module, tasks: Tasks) -> Tensor:
        """Logits (T, Q, ways) of the queries; the query labels are not looked at, and no graph is kept."""

    def files(self, record: dict[str, Any], preprocess: Preprocessing) -> dict[str, str]:
        """The fingerprints of the files that settings name and training reads, by setting, such as a teacher's.

        record: what is going to be trained on what; preprocess: how its images are prepared. Raises `UnreadableFile`
        for a file that is missing or damaged, and `InvalidInput` for one that does not suit such a training.
        """
        return {}

    def computed_by(self, model: nn.Module, tasks: Tasks) -> str:
        """What computes a training step on such tasks, and why, in words; empty where there is but one way."""
        return ""

    def facts(self) -> dict[str, Any]:
        """Name, paper, settings and what it assumes, ready for JSON."""
        return {
            "name": self.name,
            "paper": self.paper,
            "settings": asdict(self),
            "fixed_ways": self.fixed_ways,
            "regression": self.regression,
        }


AnyMetaLearner = TypeVar("AnyMetaLearner", bound=type[MetaLearner])

_META_LEARNERS: MethodRegistry[MetaLearner] = MethodRegistry("meta-learner")


def register_meta_learner(name: str, paper: str = "") -> Callable[[AnyMetaLearner], AnyMetaLearner]:
    """Decorate a `MetaLearner` dataclass to enter it under `name`; `paper` says where the method comes from."""
    return _META_LEARNERS.method(name, paper)


def create_meta_learner(name: str, **settings: Any) -> MetaLearner:
    """The meta-learner called `name`, with its paper's defaults where no setting is given.

    Raises `UnknownName` with the nearest names, and `InvalidInput` for a setting it lacks or a value it cannot take.
    """
    return _META_LEARNERS.create(name, settings)


def list_meta_learners(pattern: str = "*") -> list[str]:
    """The names of the meta-learners that match a shell pattern, sorted."""
    return _META_LEARNERS.names(pattern)
