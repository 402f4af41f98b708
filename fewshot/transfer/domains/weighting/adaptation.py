"""Covariate shift as adaptation: a classifier of the source items, weighted to stand for the target."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from fewshot.transfer.domains.adaptation import Adaptation, register_adaptation
from fewshot.transfer.domains.classifiers import predict
from fewshot.transfer.domains.weighting.density_ratio import density_ratio_weights
from fewshot.transfer.domains.weighting.discriminator import discriminator_weights
from fewshot.transfer.domains.weighting.kliep import kliep_weights
from fewshot.transfer.domains.weighting.kmm import kmm_weights


@dataclass(frozen=True)
class Weighted(Adaptation):
    """A classifier of the source that takes weights: "logistic" or "svm"."""

    classifier: str = "logistic"

    def weigh(self, source: Tensor, target: Tensor) -> Tensor:
        """Weights (N,) of source (N, D), zero or more."""
        raise NotImplementedError

    def _predict(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        return predict(self.classifier, source, labels, target, self.weigh(source, target))


@register_adaptation("kmm", paper="Huang et al. 2006, Correcting Sample Selection Bias by Unlabeled Data")
@dataclass(frozen=True)
class KMM(Weighted):
    """Weights by kernel mean matching, at most `most` each."""

    most: float = 10.0

    def weigh(self, source: Tensor, target: Tensor) -> Tensor:
        """Weights (N,) of source (N, D)."""
        return kmm_weights(source, target, most=self.most)


@register_adaptation("kliep", paper="Sugiyama et al. 2008, Direct Importance Estimation with Model Selection")
@dataclass(frozen=True)
class KLIEP(Weighted):
    """Weights by KLIEP, with kernels on `centres` target items."""

    centres: int = 100

    def weigh(self, source: Tensor, target: Tensor) -> Tensor:
        """Weights (N,) of source (N, D)."""
        return kliep_weights(source, target, centres=self.centres)


@register_adaptation("rulsif", paper="Yamada et al. 2011, Relative Density-Ratio Estimation, arXiv:1106.4729")
@dataclass(frozen=True)
class RuLSIF(Weighted):
    """Weights by the relative density ratio; `relative` 0 is uLSIF."""

    relative: float = 0.1
    ridge: float = 0.1

    def weigh(self, source: Tensor, target: Tensor) -> Tensor:
        """Weights (N,) of source (N, D)."""
        return density_ratio_weights(source, target, self.relative, self.ridge)


@register_adaptation("discriminator", paper="Bickel et al. 2007, Discriminative Learning for Differing Distributions")
@dataclass(frozen=True)
class Discriminator(Weighted):
    """Weights by a classifier that tells the domains apart, with inverse ridge penalty `strength`."""

    strength: float = 0.01

    def weigh(self, source: Tensor, target: Tensor) -> Tensor:
        """Weights (N,) of source (N, D)."""
        return discriminator_weights(source, target, self.strength)
