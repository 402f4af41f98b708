"""Ensemble: the mean of what several learners say of a query (as Dvornik et al. 2019, eq. 3, over networks)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.learner import Learner
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.registry import parse_learner, register_learner, split_outside_brackets
from fewshot.learners.support import Support


@register_learner(
    "ensemble", paper="Dvornik et al. 2019, Diversity with Cooperation: Ensembles for Few-Shot, arXiv:1903.11341"
)
@dataclass(frozen=True)
class Ensemble(Learner):
    """The mean of the probabilities of several learners.

    learners: their names joined by `+`, each with settings in round brackets where it needs any:
    `ridge(penalty=10)+logistic`. mean: of their probabilities, in which a confident learner outweighs cautious ones, or
    of their logits. The ensemble needs, uses and assumes whatever one of its learners does. The default joins three
    that are similarly cautious.
    """

    learners: str = "simpleshot(transform=L2N)+ridge+logistic"
    mean: Literal["probabilities", "logits"] = "probabilities"

    def __post_init__(self) -> None:
        super().__post_init__()
        if "" in split_outside_brackets(self.learners, "+"):
            raise InvalidInput(f"ensemble: learners must be names joined by '+', found {self.learners!r}")
        with_words = [member for member in self.members if member.needs_words]
        if len({member.needs_projection for member in with_words}) > 1:
            before, after = (
                [member.name for member in with_words if member.needs_projection is side] for side in (True, False)
            )
            raise InvalidInput(
                f"ensemble: {', '.join(before)} takes features from before the image tower's last projection, and "
                f"{', '.join(after)} those after it; leave one of them out"
            )

    @cached_property
    def members(self) -> list[Learner]:
        """The learners, made."""
        return [parse_learner(part) for part in split_outside_brackets(self.learners, "+")]

    @property
    def transductive(self) -> bool:  # type: ignore[override]
        """Where a member is."""
        return any(member.transductive for member in self.members)

    @property
    def streaming(self) -> bool:  # type: ignore[override]
        """Where every member that sees other queries is."""
        seeing = [member for member in self.members if member.transductive]
        return bool(seeing) and all(member.streaming for member in seeing)

    @property
    def assumes_balanced_queries(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.assumes_balanced_queries for member in self.members)

    @property
    def needs_base_mean(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.needs_base_mean for member in self.members)

    @property
    def needs_base_classes(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.needs_base_classes for member in self.members)

    @property
    def trained(self) -> bool:  # type: ignore[override]
        """Where a member is."""
        return any(member.trained for member in self.members)

    @property
    def uses_unlabelled(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.uses_unlabelled for member in self.members)

    @property
    def needs_words(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.needs_words for member in self.members)

    @property
    def needs_encoder(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.needs_encoder for member in self.members)

    @property
    def needs_projection(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.needs_projection for member in self.members)

    @property
    def needs_support(self) -> bool:  # type: ignore[override]
        """Where a member does."""
        return any(member.needs_support for member in self.members)

    @property
    def transfers(self) -> bool:  # type: ignore[override]
        """Where every member does."""
        return all(member.transfers for member in self.members)

    def check_backbone(self, fingerprint: str) -> None:
        """Raise `FingerprintMismatch` where a member's weights are of another backbone."""
        for member in self.members:
            member.check_backbone(fingerprint)

    def learn(self, support: Support) -> dict[str, Tensor]:
        """What each member learned, under its number: `0_weight`."""
        return {
            f"{number}_{name}": tensor
            for number, member in enumerate(self.members)
            for name, tensor in member.learn(support if member.needs_words else replace(support, words=None)).items()
        }

    def carry_over(self, state: Mapping[str, Tensor], classes: Support) -> dict[str, Tensor]:
        """What each member carries over."""
        return {
            f"{number}_{name}": tensor
            for number, member in enumerate(self.members)
            for name, tensor in member.carry_over(_own(state, number), classes).items()
        }

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The mean of the members' logits, or the log of the mean of their probabilities."""
        shared = {"present": state["present"], "like": state["like"]}
        total = query.new_zeros(*query.shape[:2], state["present"].shape[1])
        for number, member in enumerate(self.members):
            logits = member.score({**shared, **_own(state, number)}, query, mask)
            if self.mean == "probabilities":
                logits = class_softmax(logits.masked_fill(~state["present"][:, None], -torch.inf))
            total += logits / len(self.members)
        return total if self.mean == "logits" else total.clamp(min=1e-30).log()


def _own(state: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The state of one member, under the names that it gave."""
    before = f"{number}_"
    return {name.removeprefix(before): tensor for name, tensor in state.items() if name.startswith(before)}
