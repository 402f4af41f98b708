"""A grouped convolution whose second derivative is grouped too; torch takes that one group after another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

Form = tuple[list[int], list[int], list[int], int]  # stride, padding, dilation, groups


def convolution(images: Tensor, weight: Tensor, form: Form) -> Tensor:
    """As conv2d without bias, for first and second derivatives; under autocast computed and left in its type."""
    device = images.device.type
    if not torch.is_autocast_enabled(device):
        return _Convolution.apply(images, weight, form)
    lower = torch.get_autocast_dtype(device)
    return _Convolution.apply(images.to(lower), weight.to(lower), form)


def _gradients(of_output: Tensor, images: Tensor, weight: Tensor, form: Form, needed: list[bool]) -> list[Tensor]:
    stride, padding, dilation, groups = form
    return torch.ops.aten.convolution_backward(
        of_output, images, weight, None, stride, padding, dilation, False, [0, 0], groups, [*needed, False]
    )[:2]


class _Convolution(Function):
    @staticmethod
    def forward(context: Any, images: Tensor, weight: Tensor, form: Form) -> Tensor:
        context.save_for_backward(images, weight)
        context.form = form
        return conv2d(images, weight, None, *form)

    @staticmethod
    def backward(context: Any, of_output: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = context.saved_tensors
        return *_Gradients.apply(of_output, images, weight, context.form, list(context.needs_input_grad[:2])), None


class _Gradients(Function):
    """The gradients of images and weight; linear in that of the output."""

    @staticmethod
    def forward(
        context: Any, of_output: Tensor, images: Tensor, weight: Tensor, form: Form, needed: list[bool]
    ) -> tuple[Tensor, ...]:
        context.save_for_backward(of_output, images, weight)
        context.form = form
        context.set_materialize_grads(False)
        return tuple(_gradients(of_output, images, weight, form, needed))

    @staticmethod
    @once_differentiable
    def backward(context: Any, by_images: Tensor | None, by_weight: Tensor | None) -> tuple[Tensor | None, ...]:
        of_output, images, weight = context.saved_tensors
        form, (_, of_images, of_weight, *_) = context.form, context.needs_input_grad
        again = grad_images = grad_weight = None
        if by_images is not None:
            again = conv2d(by_images, weight, None, *form)
            if of_weight:
                grad_weight = _gradients(of_output, by_images, weight, form, [False, True])[1]
        if by_weight is not None:
            more = conv2d(images, by_weight, None, *form)
            again = more if again is None else again + more
            if of_images:
                grad_images = _gradients(of_output, images, by_weight, form, [True, False])[0]
        return again, grad_images, grad_weight, None, None
