"""Checks of the settings that MAML's family shares."""

from typing import Any

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive


def check_inner_loop(learner: Any) -> None:
    """Raise `InvalidInput` for a rate or numbers of steps that cannot be, or an engine that cannot run the learner."""
    check_positive(learner, "inner_rate")
    if learner.engine not in learner.engines:
        raise InvalidInput(
            f"{learner.name} has inner steps of its own, which engine {learner.engine!r} cannot run; take engine="
            + ", ".join(map(repr, learner.engines))
        )
    if learner.inner_steps < 1:
        raise InvalidInput(f"{learner.name}: inner_steps must be 1 or more, found {learner.inner_steps}")
    if learner.evaluation_steps < 0:
        raise InvalidInput(f"{learner.name}: evaluation_steps must be 0 or more, found {learner.evaluation_steps}")
