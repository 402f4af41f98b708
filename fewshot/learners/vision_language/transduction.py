"""What transductive learners by words share: they keep words and support, and classify a task's queries together."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from fewshot.learners.checks import check_finite_query
from fewshot.learners.features import l2_normalize
from fewshot.learners.learner import Learner
from fewshot.learners.precision import in_float64
from fewshot.learners.support import Support
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.vision_language.learner import word_state


@dataclass(frozen=True)
class TransductiveWordLearner(Learner):
    """A learner by words whose one method, `transduce`, sees the whole task; features get length 1 first.

    A support is not needed; where there is one, its items are labelled items among the queries. Unlabelled items given
    beside the queries are treated as queries whose prediction nobody asks for.
    """

    transductive: ClassVar[bool] = True
    uses_unlabelled: ClassVar[bool] = True
    needs_words: ClassVar[bool] = True
    needs_support: ClassVar[bool] = False

    def learn(self, support: Support) -> dict[str, Tensor]:
        """The words and the support; the work is done when the queries are there."""
        assert support.words is not None
        return {
            **word_state(support.words),
            "support": l2_normalize(support.features),
            "labels": support.labels,
            "unlabelled": l2_normalize(support.unlabelled),
            "unlabelled_mask": support.unlabelled_mask,
        }

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits of the queries of each task, found together."""
        check_finite_query(query)
        found = self.transduce(Tasks.of(state, l2_normalize(query), mask), state)
        return found[:, : query.shape[1]].to(query.dtype)

    @abstractmethod
    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Logits (T, Q, W) of the queries and unlabelled items of `tasks`, whose features have length 1.

        state holds what `learn` kept. What is said of absent classes and of padding is replaced.
        """


def tasks_in_float64(tasks: Tasks) -> Tasks:
    """The same tasks in float64, where the device has it."""
    parts = {name: in_float64(getattr(tasks, name)) for name in ("support", "members", "query")}
    return replace(tasks, **parts)
