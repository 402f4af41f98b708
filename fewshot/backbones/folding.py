"""Batch norms folded into the convolutions before them: the same features in less time."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-3  # of the largest feature; rounding is a hundred times smaller, a wrong fold far larger


@torch.no_grad()
def fold_batch_norms(module: nn.Module, images: Tensor) -> nn.Module:
    """A copy of `module` with each batch norm folded into its convolution; `module` itself where that is not exact.

    Which norm follows which convolution is seen by running `images` (B, 3, H, W) through it once. The copy is kept
    only if its features of `images` equal those of `module` but for rounding.
    """
    if not any(isinstance(part, nn.BatchNorm2d) for part in module.modules()):
        return module
    pairs, expected = _convolutions_and_norms(module, images)
    if not pairs:
        return module
    folded = copy.deepcopy(module)
    for convolution, norm in pairs:
        before: Any = folded.get_submodule(convolution)
        after: Any = folded.get_submodule(norm)
        folded.set_submodule(convolution, fuse_conv_bn_eval(before, after))
        folded.set_submodule(norm, getattr(after, "act", nn.Identity()))  # timm's norms carry their activation
    difference = (folded(images) - expected).abs().max()
    return folded if difference <= TOLERANCE * expected.abs().max() else module


def _convolutions_and_norms(module: nn.Module, images: Tensor) -> tuple[list[tuple[str, str]], Tensor]:
    """The names of each convolution and of the norm that takes its output, and the output of the whole module."""
    names = {part: name for name, part in module.named_modules()}
    makers: dict[int, tuple[nn.Module, Tensor]] = {}  # by id of the output, which is kept so that no id comes twice
    pairs: list[tuple[str, str]] = []

    def keep(convolution: nn.Module, _: tuple, output: Tensor) -> None:
        makers[id(output)] = convolution, output

    def look(norm: nn.Module, inputs: tuple) -> None:
        if id(inputs[0]) in makers:
            pairs.append((names[makers[id(inputs[0])][0]], names[norm]))

    parts = list(names)
    hooks = [part.register_forward_hook(keep) for part in parts if isinstance(part, nn.Conv2d)]
    hooks += [part.register_forward_pre_hook(look) for part in parts if isinstance(part, nn.BatchNorm2d)]
    try:
        output = module(images)
    finally:
        for hook in hooks:
            hook.remove()
    used_twice = len({name for pair in pairs for name in pair}) < 2 * len(pairs)
    return ([] if used_twice else pairs), output
