"""iLPC: labels spread over a graph, balanced, and cleaned by a small classifier (Lazarou et al. 2021, algorithm 1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_positive
from fewshot.learners.iteration import until_settled
from fewshot.learners.precision import in_float64
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.alternation import log_assignment
from fewshot.learners.transductive.graph import nearest_neighbours
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.selection import least_doubtful, pseudo_labels
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.transductive.transport import balanced_assignment

RATE, MOMENTUM, DECAY = 0.1, 0.9, 5e-4  # of the classifier's gradient descent
ABSENT = -1e9  # the logit of a class that a task lacks


@register_learner(
    "ilpc",
    paper="Lazarou et al. 2021, Iterative label cleaning for transductive and semi-supervised FSL, arXiv:2012.07962",
)
@dataclass(frozen=True)
class ILPC(TransductiveLearner):
    """Labels spread over a graph and balanced; the queries whose labels are cleanest join the support, and again.

    Each class gets the same share of the queries, so unequal classes cost accuracy. neighbours, gamma, alpha: the
    edges of an item, the power of their cosines, and how far labels spread. tau: the power of what has spread, before
    it is balanced. cleanest: queries that join each class at a time. steps: of the classifier whose mean loss on a
    label tells how clean it is. The features and neighbours are the paper's for WideResNet; for ResNet-12 it takes `l2`
    and 15. The probabilities of a query are those of the round in which it joins.
    """

    features: str = "power+l2+centre-all+l2"
    neighbours: int = 20
    gamma: float = 3.0
    alpha: float = 0.8
    tau: float = 3.0
    cleanest: int = 3
    steps: int = 1000

    assumes_balanced_queries: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "neighbours", "gamma", "alpha", "tau", "cleanest", "steps")
        if self.alpha >= 1:
            raise InvalidInput(f"ilpc: alpha must be below one, found {self.alpha!r}")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The log of the balanced assignment of each query in the round in which it joins the support."""
        items = in_float64(torch.cat([tasks.support, tasks.query], 1))
        gram = items @ items.mT
        edges = self._affinity(gram, torch.cat([tasks.real_support[..., 0] > 0, tasks.mask], 1))
        spreading = torch.linalg.inv(torch.eye(gram.shape[1]).to(gram) - self.alpha * edges)
        labels = torch.cat([tasks.members, tasks.query.new_zeros(*tasks.mask.shape, tasks.ways)], 1).to(gram)
        shares = tasks.equal_shares.to(gram) * tasks.query_count
        start = [labels, labels[:, tasks.support.shape[1] :]]
        (_, answer), _ = until_settled(self._round, [spreading, gram, shares, tasks.mask], start, len(tasks.mask[0]), 0)
        return log_assignment(answer).to(tasks.query.dtype)

    def _affinity(self, gram: Tensor, real: Tensor) -> Tensor:
        """The graph's edges (T, N, N), symmetric, divided by the roots of their sums at both ends."""
        lengths = gram.diagonal(dim1=1, dim2=2).clamp(min=1e-24).sqrt()
        cosines = gram / lengths[:, :, None] / lengths[:, None]
        edges = nearest_neighbours(cosines, real, self.neighbours) * cosines.clamp(min=0).pow(self.gamma)
        edges = edges + edges.mT
        roots = edges.sum(2).clamp(min=1e-30).sqrt()
        return edges / roots[:, :, None] / roots[:, None]

    def _round(
        self, spreading: Tensor, gram: Tensor, shares: Tensor, mask: Tensor, labels: Tensor, answer: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Label the queries that have none, let the cleanest join, and count those that are left."""
        queries = slice(labels.shape[1] - mask.shape[1], None)
        waiting = (mask & (labels[:, queries].sum(2) == 0))[..., None].to(labels)
        spread = (spreading @ labels)[:, queries].clamp(min=0)
        scores = self.tau * log_assignment(spread / spread.sum(2, keepdim=True).clamp(min=1e-30))
        mass = (shares - labels[:, queries].sum(1)).clamp(min=0)
        mass = mass * waiting.sum(1) / mass.sum(1, keepdim=True).clamp(min=1e-30)
        assignment = balanced_assignment(scores, mass, waiting, tolerance=1e-9)
        pseudo = pseudo_labels(assignment, waiting)
        everyone = labels.clone()
        everyone[:, queries] += pseudo
        doubt = mean_losses(gram, labels, everyone, shares > 0, self.steps)[:, queries]
        chosen = least_doubtful(doubt, pseudo, self.cleanest)[..., None]
        labels = torch.cat([labels[:, : queries.start], labels[:, queries] + pseudo * chosen], 1)
        return [labels, torch.where(chosen, assignment, answer)], waiting.sum((1, 2)) - chosen.sum((1, 2))


def mean_losses(gram: Tensor, labels: Tensor, targets: Tensor, present: Tensor, steps: int) -> Tensor:
    """The loss (T, N) of each item over the steps of a linear classifier's gradient descent, averaged.

    The classifier starts at the normalised class means of `labels` (T, N, W) and learns `targets` (T, N, W), rows of
    zeros for padding. Its weights are sums of items, so everything is found from their products, gram (T, N, N).
    """
    means = (labels / labels.sum(1, keepdim=True).clamp(min=1)).mT  # classes before items: faster here
    products = means @ gram
    lengths = (means * products).sum(2, keepdim=True).clamp(min=1e-24).sqrt()
    first = (products / lengths).masked_fill(~present[..., None], ABSENT)
    targets = targets.mT.contiguous()
    real = targets.sum(1, keepdim=True)
    share = real / real.sum(2, keepdim=True).clamp(min=1)
    gram = gram + 1  # of the items with a one appended, which learns the bias
    learned, speed, total = (torch.zeros_like(targets) for _ in range(3))
    kept, loss = 1.0, 0.0  # what is left of the first weights, and the speed at which they go
    for _ in range(steps):
        logits = torch.baddbmm(first, learned, gram, beta=kept).log_softmax(1)
        total += logits
        speed.mul_(MOMENTUM).add_((logits.exp() - targets) * share).add_(learned, alpha=DECAY)
        learned.sub_(speed, alpha=RATE)
        loss = MOMENTUM * loss + DECAY * kept
        kept -= RATE * loss
    return -(total * targets).sum(1) / steps
