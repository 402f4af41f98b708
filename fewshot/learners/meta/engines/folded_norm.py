"""Batch norm of T tasks at once: over channels side by side it is that of each task by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import batch_norm

from fewshot.learners.meta.engines.moments import moments
from fewshot.learners.meta.gradient.batch_norm import TaskBatchNorm
from fewshot.learners.meta.gradient.inner_loop import State


def folded_norm(layer: TaskBatchNorm, name: str) -> Callable[[State, Tensor, int], Tensor]:
    """The layer for images (S, T·C, H, W) and vectors (T, S, C)."""

    def folded(state: State, inputs: Tensor, tasks: int) -> Tensor:
        if inputs.ndim == 3:
            vectors = inputs.transpose(0, 1).flatten(1)
            return normalised(state, vectors, tasks).unflatten(1, (tasks, -1)).transpose(0, 1)
        return normalised(state, inputs, tasks)

    def normalised(state: State, inputs: Tensor, tasks: int) -> Tensor:
        weight, bias = (each_task(state, f"{name}.{part}", tasks) for part in ("weight", "bias"))
        if layer.averages:
            mean, variance = (each_task(state, f"{name}.running_{part}", tasks) for part in ("mean", "var"))
            return batch_norm(inputs, mean, variance, weight, bias, False, 0.0, layer.eps)
        images = inputs if inputs.ndim == 4 else inputs[..., None, None]
        mean, variance = moments(images.contiguous(memory_format=torch.channels_last))
        if layer.mode != "transductive":
            count_in(layer, name, state, mean.unflatten(0, (tasks, -1)), variance, images.numel() // len(mean))
        slope = torch.rsqrt(variance + layer.eps) * (1 if weight is None else weight)
        offset = (0 if bias is None else bias) - mean * slope
        return torch.addcmul(offset[:, None, None], images, slope[:, None, None]).view(inputs.shape)

    return folded


def each_task(state: State, name: str, tasks: int) -> Tensor | None:
    """The values (T·C,) of a tensor of the state, which is (C,) or (T, C); nothing where it is missing."""
    values = state.get(name)
    return None if values is None else values.expand(tasks, -1).flatten()


@torch.no_grad()
def count_in(layer: TaskBatchNorm, name: str, state: State, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running averages by the means (T, C) and variances (T · C,) of `count` values each, task by task."""
    means, variances = mean, variance.view_as(mean) * (count / (count - 1))
    left = (1 - layer.momentum) ** torch.arange(len(means), -1, -1, dtype=means.dtype, device=means.device)
    for part, values in (("mean", means), ("var", variances)):
        average = state[f"{name}.running_{part}"]
        average.mul_(left[0]).add_(layer.momentum * left[1:] @ values.to(average.dtype))
