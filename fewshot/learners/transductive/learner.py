"""What transductive learners share: they keep the support, and classify the queries of a task together."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.learners.checks import check_finite_query
from fewshot.learners.learner import Learner
from fewshot.learners.support import Support
from fewshot.learners.transductive.preprocessing import check_recipe, needs_base_mean, preprocess
from fewshot.learners.transductive.tasks import Tasks


@dataclass(frozen=True)
class TransductiveLearner(Learner):
    """A learner whose one method, `transduce`, sees the whole task after `features`, the steps of `preprocess`.

    Unlabelled items given beside the queries are treated as queries whose prediction nobody asks for. A learner with
    `preprocesses_itself` carries out `features` in its own way: its `transduce` sees the features as they came.
    """

    features: str = "l2"

    transductive: ClassVar[bool] = True
    uses_unlabelled: ClassVar[bool] = True
    preprocesses_itself: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_recipe(self.name, self.features)

    @property
    def needs_base_mean(self) -> bool:  # type: ignore[override]
        """Where `features` centres by it."""
        return needs_base_mean(self.features)

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The support as it is, and the base mean; the work is done when the queries are there."""
        zero = torch.zeros_like(support.features[0, 0])
        return {
            "support": support.features,
            "labels": support.labels,
            "unlabelled": support.unlabelled,
            "unlabelled_mask": support.unlabelled_mask,
            "base_mean": zero if support.base is None else support.base.mean,
        }

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits of the queries of each task, found together."""
        check_finite_query(query)  # the decompositions of some steps fail on NaN in their own way
        tasks = Tasks.of(state, query, mask)
        if not self.preprocesses_itself:
            tasks = preprocess(tasks, self.features, state["base_mean"])
        return self.transduce(tasks, state)[:, : query.shape[1]]

    @abstractmethod
    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Logits (T, Q, W) of the queries and unlabelled items of `tasks`, whose features are preprocessed.

        state holds what `learn` kept. What is said of absent classes and of padding is replaced.
        """
