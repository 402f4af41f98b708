"""What a build should give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fewshot.errors import InvalidInput
from fewshot.retrieval.build.plan import Plan
from fewshot.retrieval.store.manifest import METRICS


@dataclass(frozen=True)
class Wish:
    """What a build should give: recall at k, metric, FAISS index ("auto" or a factory string) and memory in bytes."""

    recall: float = 0.95
    k: int = 10
    index: str = "auto"
    memory: int | None = None
    metric: str = "cosine"

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise InvalidInput(f"recall must be above 0 and at most 1, found {self.recall:g}")
        if self.k < 1:
            raise InvalidInput(f"k must be 1 or more, found {self.k}")
        if self.memory is not None and self.memory < 1:
            raise InvalidInput(f"memory must be 1 byte or more, found {self.memory}")
        if self.metric not in METRICS:
            raise InvalidInput(f"metric must be one of {', '.join(METRICS)}, found {self.metric!r}")


def settings_of(wish: Wish, plan: Plan) -> dict[str, Any]:
    """What the manifest keeps of the wish and of what was chosen for it."""
    return {
        "factory": plan.choice.factory,
        "why": plan.choice.why,
        "asked": wish.index,
        "recall_target": wish.recall,
        "k": wish.k,
        "memory": wish.memory,
        "search": {},
    }
