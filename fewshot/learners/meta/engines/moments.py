"""Mean, variance and maxima of the channels of images, with first and second derivatives in few passes over them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C,) and variance (C,), divided by the count, of images (B, C, H, W), channels last."""
    return _Moments.apply(images, None)[:2]


def pooled_moments(images: Tensor, window: int | tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,), variance (C,) and maxima (B, C, H // window, W // window) of images (B, C, H, W), channels last."""
    return _Moments.apply(images, window)


class _Moments(Function):
    @staticmethod
    def forward(context: Any, images: Tensor, window: int | tuple[int, int] | None) -> tuple[Tensor | None, ...]:
        mean = images.mean((0, 2, 3))
        variance = (images - mean[:, None, None]).square_().mean((0, 2, 3))  # var_mean takes ten times as long
        maxima, places = (None, None) if window is None else max_pool2d(images, window, return_indices=True)
        context.save_for_backward(images, mean, places)
        return mean, variance, maxima

    @staticmethod
    def backward(context: Any, of_mean: Tensor, of_variance: Tensor, of_maxima: Tensor) -> tuple[Tensor, None]:
        images, mean, places = context.saved_tensors
        share = mean.numel() / images.numel()
        slope = of_variance * (2 * share)
        return _Spread.apply(images, slope, of_mean * share - slope * mean, of_maxima, places), None


class _Spread(Function):
    """images · slope + offset, each a channel, plus the pooled values, if any, at their places."""

    @staticmethod
    def forward(
        context: Any, images: Tensor, slope: Tensor, offset: Tensor, pooled: Tensor | None, places: Tensor | None
    ) -> Tensor:
        context.save_for_backward(images, slope, places)
        spread = torch.addcmul(offset[:, None, None], images, slope[:, None, None])
        if pooled is not None and places is not None:
            _positions(spread).scatter_add_(1, _positions(places), _positions(pooled))
        return spread

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, slope, places = context.saved_tensors
        gradient, pooled = gradient.contiguous(memory_format=torch.channels_last), None
        if places is not None:
            pooled = _positions(gradient).gather(1, _positions(places))
            pooled = pooled.unflatten(1, places.shape[2:]).permute(0, 3, 1, 2)
        of_slope, of_offset = (gradient * images).sum((0, 2, 3)), gradient.sum((0, 2, 3))
        return gradient * slope[:, None, None], of_slope, of_offset, pooled, None


def _positions(images: Tensor) -> Tensor:
    """(B, C, H, W), channels last, as (B, H · W, C), without a copy."""
    return images.permute(0, 2, 3, 1).flatten(1, 2)
