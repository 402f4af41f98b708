"""ICI: take in the queries whose pseudo-labels a sparse linear model needs least to explain away (Wang et al. 2020)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.learners.checks import check_positive
from fewshot.learners.inductive.logistic import logistic
from fewshot.learners.iteration import until_settled
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.selection import least_doubtful, pseudo_labels
from fewshot.learners.transductive.tasks import Tasks

PENALTIES, LOWEST, SOLVER_STEPS = 100, 1e-3, 10  # the path of penalties, its end relative to its start, steps at each
CLASSIFIER_STEPS = 1000  # the most that logistic regression takes


@register_learner(
    "ici", paper="Wang et al. 2020, Instance Credibility Inference for Few-Shot Learning, arXiv:2003.11853"
)
@dataclass(frozen=True)
class ICI(TransductiveLearner):
    """Logistic regression whose support grows by the queries with the most credible pseudo-labels, until all are in.

    taken: queries that join each class at a time. dims: principal components in which credibility is found, one of the
    paper's embeddings and its first code's; locally linear embedding is left out, for it is not unique where the graph
    falls apart. C: of the logistic regression, whose last probabilities these are.
    """

    features: str = "l2"
    taken: int = 5
    dims: int = 5
    C: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "taken", "dims", "C")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Logits of the logistic regression on the support and all queries."""
        items = in_float64(torch.cat([tasks.support, tasks.query], 1))
        gram, members = items @ items.mT, tasks.members.to(items)
        mask = torch.cat([tasks.real_support[..., 0] > 0, tasks.mask], 1)
        fixed = [gram, principal_directions(gram, mask, self.dims), members, tasks.mask, tasks.present]
        labels = torch.cat([members, members.new_zeros(*tasks.mask.shape, tasks.ways)], 1)
        start = [labels[:, tasks.support.shape[1] :], self._scores(gram, labels, tasks.present, tasks.mask.shape[1])]
        (_, scores), _ = until_settled(self._round, fixed, start, tasks.mask.shape[1], 0)
        return scores.to(tasks.query.dtype)

    def _scores(self, gram: Tensor, labels: Tensor, present: Tensor, queries: int) -> Tensor:
        dual, bias, _ = logistic(gram, labels, self.C, CLASSIFIER_STEPS)
        scores = gram[:, -queries:] @ dual + bias
        return scores.masked_fill(~present[:, None], -torch.inf)

    def _round(
        self,
        gram: Tensor,
        directions: Tensor,
        members: Tensor,
        mask: Tensor,
        present: Tensor,
        joined: Tensor,
        scores: Tensor,
    ) -> tuple[list[Tensor], Tensor]:
        """Label all queries, let the most credible join, learn again, and count those that are left."""
        pseudo = pseudo_labels(scores, mask[..., None])
        doubt = vanishing_penalties(directions, torch.cat([members, pseudo], 1))[:, -mask.shape[1] :]
        inside = joined.sum(2, keepdim=True) > 0
        inside = inside | least_doubtful(doubt, pseudo * ~inside, self.taken)[..., None]
        joined = pseudo * inside
        scores = self._scores(gram, torch.cat([members, joined], 1), present, mask.shape[1])
        return [joined, scores], mask.sum(1) - inside[..., 0].sum(1)


def principal_directions(gram: Tensor, mask: Tensor, dims: int) -> Tensor:
    """The principal components (T, N, dims) of items with products gram (T, N, N), orthonormal; zeros for padding."""
    real = mask[..., None].to(gram)
    centring = torch.diag_embed(real[..., 0]) - real @ real.mT / real.sum(1, keepdim=True)
    values, vectors = torch.linalg.eigh(centring @ gram @ centring)
    spread = values > 1e-12 * gram.diagonal(dim1=1, dim2=2).sum(1, keepdim=True)
    return (vectors * spread[:, None])[..., -dims:]


def vanishing_penalties(directions: Tensor, targets: Tensor) -> Tensor:
    """The penalty (T, N) at which the incidental parameter of each item vanishes: the higher, the less credible.

    targets (T, N, W) are explained by directions (T, N, d), orthonormal, and by incidental parameters g (T, N, W): the
    minimum of |targets - directions b - g|² / 2 + penalty sum_i |g_i|, along a path of penalties. At the
    minimum g is what of each residual is longer than the penalty, so b minimises the Huber loss of the residuals, found
    by least squares reweighted a few times at each penalty.
    """
    slope = directions.mT @ targets
    residuals = (targets - directions @ slope).norm(dim=2)
    highest, vanishing = residuals.amax(1, keepdim=True), residuals
    ridge = 1e-12 * torch.eye(directions.shape[2]).to(directions)  # for directions that are zero
    for position in range(PENALTIES):
        penalty = highest * LOWEST ** (position / (PENALTIES - 1))
        for _ in range(SOLVER_STEPS):
            weighted = directions * (penalty / residuals.clamp(min=1e-12)).clamp(max=1)[..., None]
            slope = torch.linalg.solve(weighted.mT @ directions + ridge, weighted.mT @ targets)
            residuals = (targets - directions @ slope).norm(dim=2)
        vanishing = torch.where(residuals <= penalty, residuals, vanishing)
    return vanishing
