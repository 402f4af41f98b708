"""Mean, variance and maxima of the channels of images, with first and second derivatives in few passes over them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d

_EXACT = (torch.float32, torch.float64)


def moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C,) and variance (C,), divided by the count, of images (B, C, H, W), channels last."""
    mean, variance, _ = pooled_moments(images, None)
    return mean, variance


def pooled_moments(images: Tensor, window: int | tuple[int, int] | None) -> tuple[Tensor, Tensor, Any]:
    """Mean (C,), variance (C,) and maxima (B, C, H // window, W // window) of images (B, C, H, W), channels last.

    Of images in half precision all three are float32; without a window the maxima are None.
    """
    if images.dtype in _EXACT:
        return _Moments.apply(images, window)
    # where the mean is large beside the differences, few bits would be left for these
    near = _mean(images.detach()).to(images.dtype)
    mean, variance, maxima = _Moments.apply(images - near[:, None, None], window)
    return mean + near, variance, None if maxima is None else maxima.to(mean.dtype) + near[:, None, None]


class _Moments(Function):
    @staticmethod
    def forward(context: Any, images: Tensor, window: int | tuple[int, int] | None) -> tuple[Tensor | None, ...]:
        mean = _mean(images)
        if images.dtype in _EXACT:
            variance = (images - mean[:, None, None]).square_().mean((0, 2, 3))  # var_mean takes ten times as long
        else:
            variance = _mean(images.square()) - mean.square()
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
        offset, slope = (each[:, None, None].to(images.dtype) for each in (offset, slope))
        spread = torch.addcmul(offset, images, slope)
        if pooled is not None and places is not None:
            _positions(spread).scatter_add_(1, _positions(places), _positions(pooled.to(images.dtype)))
        return spread

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, slope, places = context.saved_tensors
        gradient, pooled = gradient.contiguous(memory_format=torch.channels_last), None
        if places is not None:
            pooled = _positions(gradient).gather(1, _positions(places)).to(slope.dtype)
            pooled = pooled.unflatten(1, places.shape[2:]).permute(0, 3, 1, 2)
        of_slope, of_offset = _sum(gradient * images), _sum(gradient)
        return gradient * slope[:, None, None].to(gradient.dtype), of_slope, of_offset, pooled, None


def _sum(images: Tensor) -> Tensor:
    """The sum (C,) over images and positions; that over the images in float32 at least."""
    return images.sum((0, 2, 3)) if images.dtype in _EXACT else images.sum((2, 3)).float().sum(0)


def _mean(images: Tensor) -> Tensor:
    return _sum(images) * (images.shape[1] / images.numel())


def _positions(images: Tensor) -> Tensor:
    """(B, C, H, W), channels last, as (B, H · W, C), without a copy."""
    return images.permute(0, 2, 3, 1).flatten(1, 2)
