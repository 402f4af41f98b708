"""Transductive fine-tuning: a head trained on labels and on confidence (Dhillon et al. 2020, eq. 6 to 8)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.learners.adam import Adam
from fewshot.learners.checks import check_positive
from fewshot.learners.chunks import chunks
from fewshot.learners.features import l2_normalize
from fewshot.learners.registry import register_learner
from fewshot.learners.transductive.learner import TransductiveLearner
from fewshot.learners.transductive.tasks import Tasks


@register_learner(
    "transductive-finetune", paper="Dhillon et al. 2020, A Baseline for Few-Shot Image Classification, arXiv:1909.02729"
)
@dataclass(frozen=True)
class TransductiveFinetune(TransductiveLearner):
    """A linear head on normalised features that lowers its log loss on the support and its entropy on the queries.

    It starts at the normalised class means; an epoch is a step of Adam for the support and one for the queries. epochs,
    rate: the paper's, which trains the whole network with them: of a head alone they change little. temperature: times
    the logits, the paper's is 1. easyfsl has unnormalised distances, and one step for both terms.
    """

    features: str = ""
    epochs: int = 25
    rate: float = 5e-5
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "epochs", "rate", "temperature")

    def transduce(self, tasks: Tasks, state: Mapping[str, Tensor]) -> Tensor:
        """The logits of the trained head."""
        return torch.cat([self._train(tasks[part]) for part in chunks(tasks.query)])

    @torch.no_grad()
    def _train(self, tasks: Tasks) -> Tensor:
        weight = l2_normalize(tasks.support_means())
        tasks = tasks.mapped(l2_normalize)
        members, absent = tasks.members.mT, ~tasks.present[..., None]
        bias = torch.zeros_like(weight[..., :1])
        optimisers = Adam(weight, self.rate), Adam(bias, self.rate)
        support_share, query_share = (
            self.temperature * (real / real.sum(1, keepdim=True)).mT for real in (tasks.real_support, tasks.real_query)
        )

        def logits(features: Tensor) -> Tensor:
            found = torch.baddbmm(bias, weight, features.mT, beta=self.temperature, alpha=self.temperature)
            return found.masked_fill_(absent, -torch.inf)

        def descend(by_logits: Tensor, features: Tensor) -> None:
            for optimiser, gradient in zip(
                optimisers, (by_logits @ features, by_logits.sum(2, keepdim=True)), strict=True
            ):
                optimiser.step(gradient)

        for _ in range(self.epochs):
            descend((logits(tasks.support).softmax(1) - members) * support_share, tasks.support)
            probabilities = logits(tasks.query).softmax(1)
            logarithms = (probabilities + 1e-12).log_()
            entropy = -(probabilities * logarithms).sum(1, keepdim=True)
            descend(-probabilities * (logarithms + entropy) * query_share, tasks.query)
        return logits(tasks.query).mT
