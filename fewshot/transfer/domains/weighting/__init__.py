"""Covariate shift: weights of source items under which they stand for the target."""

from fewshot.transfer.domains.weighting.adaptation import KLIEP, KMM, Discriminator, RuLSIF, Weighted
from fewshot.transfer.domains.weighting.density_ratio import density_ratio_weights
from fewshot.transfer.domains.weighting.discriminator import discriminator_weights
from fewshot.transfer.domains.weighting.effective import effective_size
from fewshot.transfer.domains.weighting.kliep import kliep_weights
from fewshot.transfer.domains.weighting.kmm import kmm_weights

__all__ = [
    "KLIEP",
    "KMM",
    "Discriminator",
    "RuLSIF",
    "Weighted",
    "density_ratio_weights",
    "discriminator_weights",
    "effective_size",
    "kliep_weights",
    "kmm_weights",
]
