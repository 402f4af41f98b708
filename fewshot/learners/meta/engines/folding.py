"""Layers of torch as layers of T tasks at once: images (S, T·C, H, W), channels last, and vectors (T, S, D)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor, nn
from torch.nn.functional import conv2d

from fewshot.errors import InvalidInput
from fewshot.learners.meta.engines.convolution import convolution
from fewshot.learners.meta.engines.folded_norm import folded_norm
from fewshot.learners.meta.engines.fused_block import fused_block, is_block
from fewshot.learners.meta.gradient.batch_norm import TaskBatchNorm
from fewshot.learners.meta.gradient.inner_loop import State

Folded = Callable[[State, Tensor, int], Tensor]  # state, activations, tasks -> activations


def fold(module: nn.Module, name: str) -> list[Folded]:
    """The layers of `module`, whose parameters are called `name.*` in the state.

    Raises `InvalidInput` for a layer that has no folded form, by name.
    """
    layers = list(_layers(module, name))
    folded = [_folded(layer, path) for path, layer in layers]
    for start in reversed(range(len(layers) - 3)):
        if is_block([layer for _, layer in layers[start : start + 4]]):
            folded[start : start + 4] = [fused_block(layers[start : start + 4], folded[start : start + 4])]
    return folded


def _layers(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    if type(module).forward is nn.Sequential.forward:
        for child, layer in module.named_children():
            yield from _layers(layer, f"{name}.{child}")
    elif not isinstance(module, nn.Identity):
        yield name, module


def _folded(layer: nn.Module, name: str) -> Folded:
    if type(layer) not in FOLDS:
        raise InvalidInput(
            f"engine 'batched' cannot run {type(layer).__name__} ({name}): it folds networks of "
            f"{', '.join(kind.__name__ for kind in FOLDS)} in sequence; use engine='loop'"
        )
    return FOLDS[type(layer)](layer, name)


def _convolution(layer: nn.Conv2d, name: str) -> Folded:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise InvalidInput(
            f"engine 'batched' pads convolutions with a number of zeros, and {name} has padding={layer.padding!r}, "
            f"padding_mode={layer.padding_mode!r}; use engine='loop'"
        )
    form = list(layer.stride), list(layer.padding), list(layer.dilation)

    def folded(state: State, images: Tensor, tasks: int) -> Tensor:
        weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
        if weight.ndim == 4:  # the same for all tasks
            images = images.unflatten(1, (tasks, -1)).flatten(0, 1)
            return conv2d(images, weight, bias, *form, layer.groups).unflatten(0, (-1, tasks)).flatten(1, 2)
        images = convolution(images, weight.flatten(0, 1), (*form, tasks * layer.groups))
        return images if bias is None else images + bias.flatten()[:, None, None]

    return folded


def _linear(layer: nn.Linear, name: str) -> Folded:
    def folded(state: State, vectors: Tensor, tasks: int) -> Tensor:
        weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
        product = vectors @ weight.mT
        return product if bias is None else product + (bias if bias.ndim == 1 else bias[:, None])

    return folded


def _flatten(layer: nn.Flatten, name: str) -> Folded:
    def folded(state: State, inputs: Tensor, tasks: int) -> Tensor:
        return inputs if inputs.ndim == 3 else inputs.unflatten(1, (tasks, -1)).flatten(2).transpose(0, 1)

    return folded


def _as_it_is(layer: nn.Module, name: str) -> Folded:
    """A layer without parameters that takes each channel, or each number, by itself."""
    return lambda state, inputs, tasks: layer(inputs)


FOLDS: dict[type[nn.Module], Callable[..., Folded]] = {
    nn.Conv2d: _convolution,
    TaskBatchNorm: folded_norm,
    nn.Linear: _linear,
    nn.Flatten: _flatten,
    nn.ReLU: _as_it_is,
    nn.LeakyReLU: _as_it_is,
    nn.Tanh: _as_it_is,
    nn.MaxPool2d: _as_it_is,
    nn.AvgPool2d: _as_it_is,
    nn.AdaptiveAvgPool2d: _as_it_is,
}
