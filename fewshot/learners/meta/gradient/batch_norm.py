"""What batch norm normalises by in a network that learns tasks: three modes, chosen in the open.

transductive: mean and variance of the batch at hand, support or queries, in training and in evaluation, as in MAML's
    own code. A prediction then depends on the other queries of its task. Nothing is averaged.
running: the batch at hand in training, and averages over training in evaluation, as torch does without more ado.
per-step: as running, with averages, weight and bias of their own for each inner step (Antoniou et al. 2019, How to
    train your MAML, section 4, BNRS and BNWB); weight and bias are learned across tasks and do not adapt to one.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

BatchNormMode = Literal["transductive", "per-step", "running"]


class TaskBatchNorm(nn.Module):
    """Batch norm in one of the three modes, made from a layer of torch.

    Its tensors are (C,), or (steps, C) per step; the inner loop calls it with those of the step at hand.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(self, layer: _BatchNorm, mode: BatchNormMode, steps: int = 1) -> None:
        super().__init__()
        self.mode, self.eps, self.channels = mode, layer.eps, layer.num_features
        self.momentum = 0.1 if layer.momentum is None else layer.momentum
        affine = layer.weight.detach() if layer.affine else None, layer.bias.detach() if layer.affine else None
        for name, values in zip(("weight", "bias"), affine, strict=True):
            own = values if values is None else nn.Parameter(_own(values, mode, steps))
            self.register_parameter(name, own)
        mean, var = torch.zeros(self.channels), torch.ones(self.channels)
        for name, start, values in (
            ("running_mean", mean, layer.running_mean),
            ("running_var", var, layer.running_var),
        ):
            values = start if values is None else values
            self.register_buffer(name, None if mode == "transductive" else _own(values, mode, steps))

    @property
    def averages(self) -> bool:
        """Whether the averages over training are what it normalises by at the moment."""
        return self.mode != "transductive" and not self.training

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (B, C, ...), normalised."""
        return batch_norm(
            inputs,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            not self.averages,
            self.momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        """Shown when it is printed."""
        return f"{self.channels}, {self.mode}"


def set_batch_norm(network: nn.Module, mode: BatchNormMode, steps: int = 1) -> nn.Module:
    """The network with every batch norm in the given mode, in place; steps: inner steps, for "per-step"."""
    if isinstance(network, _BatchNorm):
        return TaskBatchNorm(network, mode, steps)
    for name, child in network.named_children():
        setattr(network, name, set_batch_norm(child, mode, steps))
    return network


def per_step_names(model: nn.Module) -> frozenset[str]:
    """Names of the tensors in the model's state that hold one value an inner step."""
    return frozenset(
        f"{path}.{name}" if path else name
        for path, layer in model.named_modules()
        if isinstance(layer, TaskBatchNorm) and layer.mode == "per-step"
        for name, _ in [*layer.named_parameters(), *layer.named_buffers()]
    )


def _own(values: Tensor, mode: BatchNormMode, steps: int) -> Tensor:
    return values.repeat(steps, 1) if mode == "per-step" else values.clone()
