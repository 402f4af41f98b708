"""The optimiser of many published heads, for gradients that are written by hand."""

from math import sqrt

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) on one tensor, which `step` changes in place.

    Each entry moves by itself, so the tasks of a batch do not meet. It depends on the axes of the features: rotated
    features give other classifiers. With a decay it is AdamW (Loshchilov and Hutter 2019): a step then also shrinks the
    weight by that share of the rate. `rate` may be changed between steps.
    """

    def __init__(
        self,
        weight: Tensor,
        rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        decay: float = 0.0,
    ) -> None:
        self.weight, self.rate, self.betas, self.epsilon, self.decay = weight, rate, betas, epsilon, decay
        self.mean, self.square, self.room = (torch.zeros_like(weight) for _ in range(3))
        self.steps = 0

    def step(self, gradient: Tensor) -> None:
        """One step down `gradient`, which has the shape of the weight; the weight is changed in place."""
        self.steps += 1
        kept_mean, kept_square = self.betas
        if self.decay:
            self.weight.mul_(1 - self.rate * self.decay)
        self.mean.lerp_(gradient, 1 - kept_mean)
        self.square.mul_(kept_square).addcmul_(gradient, gradient, value=1 - kept_square)
        # both corrections for the start at zero go into the rate, which spares two passes over the weights
        correction = sqrt(1 - kept_square**self.steps)
        torch.sqrt(self.square, out=self.room).add_(self.epsilon * correction)
        self.weight.addcdiv_(self.mean, self.room, value=-self.rate * correction / (1 - kept_mean**self.steps))
