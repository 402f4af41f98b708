"""Gradient descent with momentum, for gradients that are written by hand."""

import torch
from torch import Tensor


class Momentum:
    """Gradient descent with momentum (Sutskever et al. 2013, PyTorch's SGD) on one tensor, changed in place by `step`.

    The velocity is `momentum` of the last one plus the gradient; rotated features give rotated weights. `rate` may be
    changed between steps.
    """

    def __init__(self, weight: Tensor, rate: float, momentum: float = 0.9) -> None:
        self.weight, self.rate, self.momentum = weight, rate, momentum
        self.velocity = torch.zeros_like(weight)

    def step(self, gradient: Tensor) -> None:
        """One step down `gradient`, which has the shape of the weight; the weight is changed in place."""
        self.velocity.mul_(self.momentum).add_(gradient)
        self.weight.add_(self.velocity, alpha=-self.rate)
