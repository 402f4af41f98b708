"""Optimal transport of queries to classes of given sizes, with an entropy term (Cuturi 2013, eq. 2)."""

import torch
from torch import Tensor

from fewshot.learners.iteration import until_settled
from fewshot.learners.precision import in_float64

_STEPS = 1000
_NEVER = -1e30  # the score of an absent class; not infinite, since a task may have no query left to assign
_RIDGE = 1e-12  # of the number of queries, on the Hessian: for classes that nothing is near to


def balanced_assignment(scores: Tensor, mass: Tensor, real: Tensor, tolerance: float = 1e-6) -> Tensor:
    """The assignment closest to exp(scores) whose rows sum to 1 and whose columns sum to `mass`.

    scores (T, Q, W), such as minus lambda times squared distances; mass (T, W), zero for absent classes, with the
    number of real queries as its sum; real (T, Q, 1), zero for padding. The assignment is the softmax of scores plus an
    offset for each class. Sinkhorn's algorithm finds the offsets by hundreds of small steps; here they minimise the
    dual, Σ logsumexp(scores + offsets) - mass · offsets, by Newton's method in as many unknowns as there are classes,
    whose steps are shortened so that each goes down (Sun & Tran-Dinh 2019, eq. 12, for nu = 2): a handful suffices. A
    task stops by itself, when no column is further than `tolerance` from its mass, or after 1,000 steps. In float64
    where the device has it.

    Returns (T, Q, W) of the type of scores, rows of zeros for padding; rows are exact, columns within the tolerance.
    """
    kind = scores.dtype
    scores, mass, real = (
        scores.mT,
        mass[..., None],
        real.mT,
    )  # classes before items: sums over few classes are then fast
    scores, mass, real = in_float64(scores), in_float64(mass), in_float64(real)
    absent = mass <= 0
    count = real.sum(2, keepdim=True)
    # what all queries score alike for a class is made up for by its offset: without it the way is shorter
    common = (scores * real).sum(2, keepdim=True) / count.clamp(min=1)
    scores = (scores - common).masked_fill(absent, _NEVER).contiguous()
    # constant offsets change nothing and absent classes have none: both get a curvature of their own
    steady = torch.diag_embed((absent + _RIDGE * count).squeeze(2)) + count / mass.shape[1] ** 2
    start = [torch.zeros_like(mass), scores.softmax(1) * real]
    (_, assignment), _ = until_settled(_step, [scores, mass, real, steady], start, _STEPS, tolerance)
    return assignment.mT.to(kind)


def _step(
    scores: Tensor, mass: Tensor, real: Tensor, steady: Tensor, offsets: Tensor, assignment: Tensor
) -> tuple[list[Tensor], Tensor]:
    """One Newton step of the offsets (T, W, 1), and how far a class of the assignment (T, W, Q) is from its mass."""
    sizes = assignment.sum(2, keepdim=True)
    hessian = torch.diag_embed(sizes.squeeze(2)) - assignment @ assignment.mT + steady
    direction = torch.linalg.solve(hessian, mass - sizes)
    reach = (direction.amax(1, keepdim=True) - direction.amin(1, keepdim=True)).clamp(min=1e-12)
    offsets = offsets + torch.log1p(reach) / reach * direction
    assignment = (scores + offsets).softmax(1) * real
    return [offsets, assignment], (assignment.sum(2) - mass.squeeze(2)).abs().amax(1)
