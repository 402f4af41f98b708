"""JDOT: a classifier of the target and the transport plan that gives it labels, in turn (Courty et al. 2017b)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.adaptation import Adaptation, register_adaptation
from fewshot.transfer.domains.alignment.skada_adapters import pooled, skada_module, solver_warned


@register_adaptation("jdot", paper="Courty et al. 2017, Joint Distribution Optimal Transportation, arXiv:1705.08848")
@dataclass(frozen=True)
class JointTransport(Adaptation):
    """A logistic classifier of the target, learned from the labels that the plan brings over; by skada and POT.

    balance: of the cost's two parts, features (0) and labels (1); rounds: the most that are taken.
    """

    balance: float = 0.5
    rounds: int = 10

    def _predict(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        if not 0 < self.balance < 1:
            raise InvalidInput(f"{self.name}: balance must lie between 0 and 1, found {self.balance}")
        from sklearn.linear_model import LogisticRegression

        items, hidden, domain = pooled(source, labels, target)
        classifier = LogisticRegression(C=0.1, max_iter=1000)
        gave_up = f"{self.name}: the exact solver did not find the cheapest plan; take fewer items"
        with skada_module(self.name) as skada, solver_warned(gave_up), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Maximum number of iterations reached")
            model = skada.JDOTClassifier(classifier, alpha=self.balance, n_iter_max=self.rounds)
            model.fit(items, hidden, sample_domain=domain)
            return torch.from_numpy(model.predict(items[len(source) :])).long()
