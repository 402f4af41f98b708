"""The maps inside a network as it runs: noted, or with one filter taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def filter_count(maps: Tensor) -> int:
    """The channels of maps (B, C, H, W) or tokens (B, N, C)."""
    return maps.shape[-1] if maps.ndim == 3 else maps.shape[1]


@contextmanager
def without_filter(part: nn.Module, place: int) -> Iterator[None]:
    """In this block one filter of the part's output is zero."""

    def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        masked = output.clone()
        masked.select(2 if output.ndim == 3 else 1, place).zero_()
        return masked

    handle = part.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def noted(module: nn.Module, names: Sequence[str], kept: dict[str, Tensor]) -> Iterator[None]:
    """In this block each pass puts the outputs of these parts into `kept`."""
    handles = remember(module, names, kept)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def remember(module: nn.Module, names: Sequence[str], kept: dict[str, Tensor], learning: bool = False) -> list[Any]:
    """Have each pass put the outputs of these parts into `kept`; with `learning` only those that have gradients."""

    def hook(name: str) -> Callable[..., None]:
        def note(_: nn.Module, __: Any, output: Any) -> None:
            if torch.is_grad_enabled() or not learning:
                # a copy, since an activation may follow in place
                kept[name] = (output[0] if isinstance(output, tuple) else output).clone()

        return note

    parts: Mapping[str, nn.Module] = {name: module.get_submodule(name) for name in names}
    return [part.register_forward_hook(hook(name)) for name, part in parts.items()]
