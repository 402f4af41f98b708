"""A variational autoencoder: the evidence lower bound (Kingma and Welling 2014)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fewshot.episodes.checks import positive, whole_number
from fewshot.transfer.self_taught.autoencoder import Autoencoder
from fewshot.transfer.self_taught.objective import Objective, register_objective


@register_objective("variational", paper="Kingma and Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114")
@dataclass(frozen=True)
class Variational(Objective):
    """A Gaussian code, of which two linear maps of the features tell mean and log variance.

    latent: numbers of the code; deviation: standard deviation of a pixel around its reconstruction, where black is 0
    and white is 1.
    """

    latent: int = 64
    deviation: float = 0.1

    def __post_init__(self) -> None:
        whole_number("latent", self.latent, 1)
        positive("deviation", self.deviation)

    def code(self, dim: int) -> tuple[nn.Module, int]:
        """Features to mean and log variance side by side; the decoder takes a draw from them."""
        return nn.Linear(dim, 2 * self.latent), self.latent

    def loss(self, model: Autoencoder, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Minus the lower bound a pixel value, with one draw of the code an image, without its constant."""
        means, log_variances = model.code(model.encode(pixels)).float().chunk(2, dim=1)
        draw = torch.randn(means.shape, generator=generator).to(means)
        found = model.decode(means + (log_variances / 2).exp() * draw)
        bound = negative_bound(found, pixels, means, log_variances, self.deviation)
        return bound.mean() / pixels[0].numel()


def negative_bound(found: Tensor, pixels: Tensor, means: Tensor, log_variances: Tensor, deviation: float) -> Tensor:
    """Minus the evidence lower bound (B,) up to a constant: |x - x'|² / (2 deviation²) + KL (eq. 10, Gaussian pixels).

    found and pixels (B, C, H, W); means and log_variances (B, latent).
    """
    errors = (found - pixels).square().flatten(1).sum(1)
    return errors / (2 * deviation**2) + divergence_from_normal(means, log_variances)


def divergence_from_normal(means: Tensor, log_variances: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)), summed over the code: (B, latent) -> (B,), in nats (appendix B)."""
    return (means.square() + log_variances.exp() - log_variances - 1).sum(1) / 2
