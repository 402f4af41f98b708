"""Convolution, batch norm over the batch at hand, ReLU and max pooling as one, for first and second derivatives.

The same numbers from less work. Batch norm and ReLU keep order within a channel, so that pooling may come first and
both then see a quarter of the positions; where the norm's weight is negative it reverses order, and the convolution's
weight changes sign to make up for that. A bias of the convolution is cancelled by the norm and left out. What remains
at full size is one pass for mean, variance and maximum (`moments`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from fewshot.learners.meta.engines.folded_norm import count_in, each_task
from fewshot.learners.meta.engines.moments import pooled_moments
from fewshot.learners.meta.gradient.batch_norm import TaskBatchNorm
from fewshot.learners.meta.gradient.inner_loop import State

Folded = Callable[[State, Tensor, int], Tensor]


def is_block(layers: Sequence[nn.Module]) -> bool:
    """Whether four layers are convolution, batch norm with weight and bias, and ReLU and plain max pooling."""
    convolution, norm, *rest = layers
    if not isinstance(convolution, nn.Conv2d) or not isinstance(norm, TaskBatchNorm) or norm.weight is None:
        return False
    pools = [layer for layer in rest if isinstance(layer, nn.MaxPool2d)]
    plain = [pool for pool in pools if pool.stride == pool.kernel_size and (pool.padding, pool.dilation) == (0, 1)]
    return len(plain) == 1 and not plain[0].ceil_mode and any(type(layer) is nn.ReLU for layer in rest)


def fused_block(layers: Sequence[tuple[str, nn.Module]], folded: Sequence[Folded]) -> Folded:
    """The four layers as one, where batch norm takes the batch at hand; `folded` are they by themselves."""
    (path, _), (norm_path, norm), *rest = layers
    window = next(layer.kernel_size for _, layer in rest if isinstance(layer, nn.MaxPool2d))
    assert isinstance(norm, TaskBatchNorm)

    def block(state: State, images: Tensor, tasks: int) -> Tensor:
        if norm.averages:
            for layer in folded:
                images = layer(state, images, tasks)
            return images
        weight, scale = state[f"{path}.weight"], state[f"{norm_path}.weight"]
        sign = torch.where(scale.detach() < 0, -torch.ones_like(scale), torch.ones_like(scale))
        images = folded[0]({f"{path}.weight": weight * sign[..., None, None, None]}, images, tasks)
        images = images.contiguous(memory_format=torch.channels_last)
        mean, variance, maxima = pooled_moments(images, window)
        if norm.mode != "transductive":
            bias = each_task(state, f"{path}.bias", tasks)
            means = mean * sign.expand(tasks, -1).flatten() + (0 if bias is None else bias)
            count_in(norm, norm_path, state, means.unflatten(0, (tasks, -1)), variance, images.numel() // len(mean))
        slope = (scale * sign).expand(tasks, -1).flatten() * torch.rsqrt(variance + norm.eps)
        offset = state[f"{norm_path}.bias"].expand(tasks, -1).flatten() - mean * slope
        return torch.addcmul(offset[:, None, None], maxima, slope[:, None, None]).relu()

    return block
