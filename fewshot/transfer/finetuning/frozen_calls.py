"""What a module calls before anything that learns, and ways to run it with calls left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Call:
    """One call of a frozen part: which, the shape of its output for two images, and its type."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Learns(Exception):
    """Something that learns, or draws, is about to be computed."""


@torch.no_grad()
def frozen_calls(module: nn.Module, images: Tensor) -> list[Call]:
    """The calls of the largest frozen parts, in order, up to the first part that learns or draws."""
    calls: list[Call] = []
    hooks = []

    def note(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise _Learns
            calls.append(Call(name, tuple(output.shape), output.dtype))

        return hook

    def stop(*_: Any) -> None:
        raise _Learns

    def watch(name: str, part: nn.Module) -> None:
        learns = any(parameter.requires_grad for parameter in part.parameters())
        if not learns and all(map(_is_still, part.modules())):
            hooks.append(part.register_forward_hook(note(name)))
            return
        own = any(parameter.requires_grad for parameter in part.parameters(recurse=False))
        if own or not any(part.children()):
            hooks.append(part.register_forward_pre_hook(stop))
        for child, inner in part.named_children():
            watch(f"{name}.{child}" if name else child, inner)

    watch("", module)
    try:
        with evaluating(module):
            module(images)
    except _Learns:
        pass
    finally:
        for each in hooks:
            each.remove()
    return calls


def _is_still(part: nn.Module) -> bool:
    """Whether a part without parameters that learn gives the same output each time as it stands."""
    if not part.training:
        return True
    random = any(word in type(part).__name__ for word in ("Drop", "Stochastic"))
    share = getattr(part, "p", getattr(part, "drop_prob", 1.0))
    return not (isinstance(part, nn.modules.batchnorm._NormBase) or (random and share))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The block in evaluation mode; each part is then as it was."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def replaced(parts: dict[str, nn.Module], counts: dict[str, int], replay: Callable[..., Tensor]) -> Iterator[None]:
    """The first calls of each part, as many as `counts` says, give what `replay` gives; later ones are their own."""
    own = {name: part.forward for name, part in parts.items()}

    def stand_in(name: str) -> Callable[..., Tensor]:
        left = counts[name]

        def forward(*arguments: Any, **more: Any) -> Tensor:
            nonlocal left
            if left == 0:
                return own[name](*arguments, **more)
            left -= 1
            return replay(parts[name], *arguments, **more)

        return forward

    for name, part in parts.items():
        part.forward = stand_in(name)
    try:
        yield
    finally:
        for part in parts.values():
            del part.forward  # the class's own shows again
