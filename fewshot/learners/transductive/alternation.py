"""The loop that most transductive methods are: assign the queries to classes, update the classes, and again."""

from collections.abc import Callable

from torch import Tensor

from fewshot.learners.iteration import until_settled
from fewshot.learners.transductive.tasks import Tasks

Model = tuple[Tensor, ...]  # what describes the classes of each task: prototypes (T, W, D), and more in some methods


def alternate(
    tasks: Tasks,
    model: Model,
    assign: Callable[..., Tensor],
    update: Callable[..., Model],
    steps: int,
    tolerance: float = -1.0,
) -> tuple[Tensor, Model]:
    """Update the classes `steps` times, and assign the queries before, between and after.

    `assign(tasks, *model)` gives the assignment (T, Q, W), its rows at most 1 in sum and 0 for padding;
    `update(tasks, assignment, *model)` the next model. A task whose assignments change by `tolerance` or less is
    finished; below zero, every step is done.

    Returns the last assignment (T, Q, W) and the model (tuple of tensors) that gave it.
    """

    def step(tasks: Tasks, assignment: Tensor, *model: Tensor) -> tuple[list[Tensor], Tensor]:
        model = update(tasks, assignment, *model)
        following = assign(tasks, *model)
        return [following, *model], (following - assignment).abs().amax((1, 2))

    start = [assign(tasks, *model), *model]
    (assignment, *final), _ = until_settled(step, [tasks], start, steps, tolerance)
    return assignment, tuple(final)


def log_assignment(assignment: Tensor) -> Tensor:
    """Logits whose softmax is the assignment (T, Q, W), for rows that sum to 1; finite where an entry is 0."""
    return assignment.clamp(min=1e-30).log()
