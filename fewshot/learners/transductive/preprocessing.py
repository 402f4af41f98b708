"""What is done to the features of a task before a transductive method: named steps, joined by `+`."""

import re
from collections.abc import Callable

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.features import l2_normalize, l2_normalize_, min_max_scale, power_transform, to_principal, to_span
from fewshot.learners.transductive.affinities import balanced_affinities
from fewshot.learners.transductive.tasks import Tasks


def preprocess(tasks: Tasks, recipe: str, base_mean: Tensor) -> Tasks:
    """`tasks` after the steps of `recipe`, such as `power+l2+centre-each+l2`, one after the other.

    power: square root with sign; l2: to length 1; centre-base, -support, -query, -all: less the mean (D,) of the base
    classes, or of the task's support, queries or both; centre-each: support and queries each less their own mean;
    align: queries moved so that their mean is the support's (Liu et al. 2020, eq. 5); min-max: each dimension to
    [0, 1]; span: to as many dimensions as the task has items (same distances); svd-R: to the R directions of largest
    singular value (same distances within them); bpa: to the affinities of each item with all (Shalam & Korman 2024).
    """
    given = tasks
    for name in _names(recipe):
        if name == "centre-base":
            tasks = tasks.mapped(lambda features: features - base_mean)
        elif name == "l2" and tasks.query is not given.query and tasks.support is not given.support:
            tasks = tasks.mapped(l2_normalize_)
        elif name.startswith("svd-"):
            tasks = _svd(tasks, int(name.removeprefix("svd-")))
        else:
            tasks = _STEPS[name](tasks)
    return tasks


def needs_base_mean(recipe: str) -> bool:
    """Whether `recipe` centres by the mean of the base classes."""
    return "centre-base" in _names(recipe)


def check_recipe(learner: str, recipe: str) -> None:
    """Raise `InvalidInput` where `recipe` holds a step that does not exist."""
    for name in _names(recipe):
        if name not in _STEPS and name != "centre-base" and not re.fullmatch("svd-[1-9][0-9]*", name):
            known = ", ".join([*_STEPS, "centre-base", "svd-R"])
            raise InvalidInput(f"{learner}: features has no step {name!r}; join steps by '+', from {known}")


def _names(recipe: str) -> list[str]:
    return recipe.split("+") if recipe else []


def _centre_support(tasks: Tasks) -> Tasks:
    centre = tasks.support_centre
    return tasks.mapped(lambda features: features - centre)


def _centre_query(tasks: Tasks) -> Tasks:
    centre = tasks.query_centre
    return tasks.mapped(lambda features: features - centre)


def _centre_all(tasks: Tasks) -> Tasks:
    total = tasks.support.sum(1, keepdim=True) + tasks.query.sum(1, keepdim=True)
    centre = total / tasks.real.sum(1, keepdim=True)
    return tasks.mapped(lambda features: features - centre)


def _centre_each(tasks: Tasks) -> Tasks:
    return tasks.with_features(tasks.support - tasks.support_centre, tasks.query - tasks.query_centre)


def _align(tasks: Tasks) -> Tasks:
    return tasks.with_features(tasks.support, tasks.query + tasks.support_centre - tasks.query_centre)


def _min_max(tasks: Tasks) -> Tasks:
    return tasks.mapped_together(lambda features: min_max_scale(features, tasks.real))


def _affinities(tasks: Tasks) -> Tasks:
    return tasks.mapped_together(lambda features: balanced_affinities(features, tasks.real))


def _svd(tasks: Tasks, rank: int) -> Tasks:
    def project(features: Tensor) -> Tensor:
        if rank >= min(features.shape[1:]):
            return to_span(features)
        return to_principal(features)[..., -rank:]

    return tasks.mapped_together(project)


_STEPS: dict[str, Callable[[Tasks], Tasks]] = {
    "power": lambda tasks: tasks.mapped(power_transform),
    "l2": lambda tasks: tasks.mapped(l2_normalize),
    "centre-support": _centre_support,
    "centre-query": _centre_query,
    "centre-all": _centre_all,
    "centre-each": _centre_each,
    "align": _align,
    "min-max": _min_max,
    "span": lambda tasks: tasks.mapped_together(to_span),
    "bpa": _affinities,
}
