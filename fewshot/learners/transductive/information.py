"""Mutual information between queries and classes, raised by gradient descent (Boudiaf et al. 2020, eq. 3 and 4)."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.learners.adam import Adam
from fewshot.learners.checks import check_not_negative, check_positive
from fewshot.learners.chunks import chunks
from fewshot.learners.distances import squared_distance
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks

EPSILON = 1e-12  # added to probabilities: keeps the slope of the entropy finite


@dataclass(frozen=True)
class InformationLearner(TransductiveLearner):
    """Prototypes that start at the class means and descend the loss with Adam.

    The loss is cross_entropy * (log loss of the support) - marginal * H(Y) + conditional * H(Y|X), where H(Y) is the
    entropy of the mean prediction over queries and H(Y|X) the mean entropy of the predictions.
    """

    cross_entropy: float = 0.1
    marginal: float = 1.0
    conditional: float = 0.1
    temperature: float = 15.0
    rate: float = 1e-4
    steps: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "cross_entropy", "temperature", "rate", "steps")
        check_not_negative(self, "marginal", "conditional")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """Minus half the squared distance to the final prototypes, times the temperature."""
        prototypes = torch.cat([self._descend(tasks[part]) for part in chunks(tasks.query)])
        return euclidean_logits(tasks.query, prototypes, self.temperature)

    @abstractmethod
    def entropy_slope(self, probabilities: Tensor, tasks: Tasks) -> Tensor:
        """The derivative of minus the entropy by each probability (T, W, N), up to the same constant for all."""

    @torch.no_grad()
    def _descend(self, tasks: Tasks) -> Tensor:
        """The final prototypes (T, W, D); classes come before items here, which keeps the products fast."""
        samples = tasks.support.shape[1]
        features, members = torch.cat([tasks.support, tasks.query], 1), tasks.members.mT
        share = torch.cat([self.cross_entropy * _shares(tasks.real_support), _shares(tasks.real_query)], 2)
        absent = ~tasks.present[..., None]
        prototypes = tasks.support_means()
        gradient, adam = torch.empty_like(prototypes), Adam(prototypes, self.rate)
        for _ in range(self.steps):
            lengths = torch.linalg.vector_norm(prototypes, dim=2, keepdim=True)
            offset = lengths.square_().mul_(-0.5).masked_fill_(absent, -torch.inf)
            logits = torch.baddbmm(offset, prototypes, features.mT, beta=self.temperature, alpha=self.temperature)
            probabilities = logits.softmax(1)
            query = probabilities[..., samples:]
            slope = self.marginal * self.entropy_slope(query @ share[..., samples:].mT, tasks)
            slope = slope - self.conditional * self.entropy_slope(query, tasks)
            slope -= (query * slope).sum(1, keepdim=True)
            by_logits = torch.cat([probabilities[..., :samples] - members, query * slope], 2)
            by_logits *= share * self.temperature
            torch.bmm(by_logits, features, out=gradient)
            adam.step(gradient.addcmul_(prototypes, by_logits.sum(2, keepdim=True), value=-1))
        return prototypes


def euclidean_logits(items: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """The logits (T, N, W) of a Gaussian of variance 1 / temperature around each prototype."""
    return -temperature / 2 * squared_distance(items, prototypes)


def _shares(real: Tensor) -> Tensor:
    """Ones for items and zeros for padding (T, N, 1) as weights (T, 1, N) that make a mean."""
    return (real / real.sum(1, keepdim=True)).mT
