"""What every few-shot learner is: settings, two methods, and a head that fitting makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.checks import check_settings, check_support, check_unlabelled
from fewshot.learners.head import Head
from fewshot.learners.support import Support
from fewshot.learners.words import Words


@dataclass(frozen=True)
class Learner(ABC):
    """Makes classifiers from a few labelled features, for many tasks at once.

    A learner is a frozen dataclass whose fields are its settings, and two methods: `learn` turns a support into
    tensors, `score` turns these and queries into logits. Both may rely on checked input: floating-point features
    without NaN, integer labels, a sample of every class, and zeros where a task is padded.

    The class says what the method is and assumes; reports print it:
    `transductive`: a prediction depends on the other queries of its task;
    `streaming`: queries come one after the other, and a prediction depends only on those before it;
    `assumes_balanced_queries`: works on the premise that every class has equally many queries;
    `needs_base_mean`: needs the mean of the backbone's training classes;
    `needs_base_classes`: needs the features of the backbone's training classes, with their labels;
    `trained`: has weights of its own that were trained on episodes;
    `uses_unlabelled`: learns from unlabelled items that are given beside the queries;
    `needs_words`: needs text vectors of the classes;
    `needs_encoder`: trains prompts, so that the words must carry the text tower that made them;
    `needs_projection`: takes features from before the image tower's last projection, which the words must carry;
    `needs_support`: needs a labelled item of every class (false for learners that can do with words alone);
    `transfers`: what it learned from some classes goes over to the words of others (`Head.for_words`);
    `grid`: the settings, and for each the values, that tuning may try.
    """

    name: ClassVar[str] = "unregistered"
    paper: ClassVar[str] = ""
    transductive: ClassVar[bool] = False
    streaming: ClassVar[bool] = False
    assumes_balanced_queries: ClassVar[bool] = False
    needs_base_mean: ClassVar[bool] = False
    needs_base_classes: ClassVar[bool] = False
    trained: ClassVar[bool] = False
    uses_unlabelled: ClassVar[bool] = False
    needs_words: ClassVar[bool] = False
    needs_encoder: ClassVar[bool] = False
    needs_projection: ClassVar[bool] = False
    needs_support: ClassVar[bool] = True
    transfers: ClassVar[bool] = False
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    def __post_init__(self) -> None:
        check_settings(self)

    @abstractmethod
    def learn(self, support: Support) -> dict[str, Tensor]:
        """The state that `score` needs: tensors.

        A task of a padded batch may lack the last classes; what is scored for those is replaced.
        """

    @abstractmethod
    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways) of query (T, Q, D); mask (T, Q) is false where a query is padding."""

    def fit(
        self,
        support: Tensor,
        labels: Tensor,
        ways: int | Tensor,
        base: BaseStatistics | None = None,
        unlabelled: Tensor | None = None,
        unlabelled_mask: Tensor | None = None,
        words: Words | None = None,
    ) -> Head:
        """Learn T tasks at once and return the head that classifies their queries.

        support (T, S, D) float, half precision is raised to float32; labels (T, S) integer in [0, ways), -1 marks
        padding; ways, one number for all tasks or a tensor (T,) where they differ; unlabelled (T, U, D), items without
        labels, for learners that use them, with a mask (T, U) that is false for padding; words, text vectors of the
        classes, for learners that need them (others never see them). Learners that do without a support take (T, 0, D).
        Raises `InvalidInput` for wrong shapes or types, labels out of range, a class without support, features that are
        not finite, a missing `base` or `words`, or unlabelled items for a learner that does not use any.
        """
        support, labels, present = check_support(support, labels, ways, self.needs_support)
        if base is not None:
            self.check_backbone(base.backbone)
            base = base.fitted_to(support)
        self._check_base(base)
        if unlabelled is None:
            unlabelled, unlabelled_mask = support[:, :0], labels[:, :0] >= 0
        elif not self.uses_unlabelled:
            raise InvalidInput(f"{self.name} does not learn from unlabelled items; leave them out")
        else:
            unlabelled, unlabelled_mask = check_unlabelled(unlabelled, unlabelled_mask, support)
        words = self.check_words(words, support, present.shape[1])
        state = self.learn(Support(support, labels, present, unlabelled, unlabelled_mask, base, words))
        return Head(self, {**state, "present": present, "like": support.new_empty(0, support.shape[2])})

    def carry_over(self, state: Mapping[str, Tensor], classes: Support) -> dict[str, Tensor]:
        """The state for other classes: a support without items, whose words these are. For who `transfers`."""
        raise NotImplementedError(f"{self.name} says that what it learned transfers, and not how")

    def check_words(self, words: Words | None, support: Tensor, ways: int) -> Words | None:
        """The words for tasks with this support (T, S, D), None for who needs none; see `fit` for what is refused."""
        if not self.needs_words:
            return None
        if words is None:
            raise InvalidInput(f"{self.name} classifies by words: pass words=, text vectors of the classes")
        if self.needs_encoder and words.encoder is None:
            raise InvalidInput(f"{self.name} trains prompts: it needs words that carry their text encoder")
        if self.needs_projection and words.projection is None:
            raise InvalidInput(
                f"{self.name} takes features from before the last projection of the image tower, and words that carry "
                "this projection"
            )
        if words.projection is not None and not self.needs_projection:
            raise InvalidInput(
                f"the words go with features from before the image tower's last projection, and {self.name} takes "
                "those after it; embed with the whole tower"
            )
        return words.for_tasks(support, ways)

    def _check_base(self, base: BaseStatistics | None) -> None:
        if base is None and self.needs_base:
            raise InvalidInput(
                f"{self.name} needs the {'features' if self.needs_base_classes else 'mean'} of the backbone's training "
                "classes: pass base=BaseStatistics.from_table(their table)"
            )
        if base is not None and self.needs_base_classes and base.labels is None:
            raise InvalidInput(
                f"{self.name} needs the features of the base classes, and these statistics hold only a mean: make them "
                "with BaseStatistics.from_table(table) or from_features(features, labels)"
            )

    @property
    def needs_base(self) -> bool:
        """Whether it needs anything of the backbone's training classes."""
        return self.needs_base_mean or self.needs_base_classes

    @property
    def backbone(self) -> str:
        """Fingerprint of the only backbone whose features it takes; empty where any will do."""
        return ""

    def check_backbone(self, fingerprint: str) -> None:
        """Raise `FingerprintMismatch` for features of another backbone than its weights were trained on."""
        if self.backbone and fingerprint and self.backbone != fingerprint:
            raise FingerprintMismatch(
                f"{self.name} was trained on features of backbone {self.backbone}, and these are of {fingerprint}; "
                "train it on base classes of the same backbone, precision and layers"
            )

    def facts(self) -> dict[str, Any]:
        """What a report says of this learner, ready for JSON: name, paper, settings and assumptions."""
        return {
            "name": self.name,
            "paper": self.paper,
            "settings": asdict(self),
            "transductive": self.transductive,
            "streaming": self.streaming,
            "assumes_balanced_queries": self.assumes_balanced_queries,
            "needs_base_mean": self.needs_base_mean,
            "needs_base_classes": self.needs_base_classes,
            "trained": self.trained,
            "uses_unlabelled": self.uses_unlabelled,
            "needs_words": self.needs_words,
            "needs_encoder": self.needs_encoder,
            "needs_projection": self.needs_projection,
            "needs_support": self.needs_support,
            "transfers": self.transfers,
        }
