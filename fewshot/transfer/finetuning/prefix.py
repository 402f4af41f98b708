"""The frozen prefix of a network: run once over the images, its output maps kept, and the rest run from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.transfer.finetuning.frozen_calls import Call, evaluating, frozen_calls, replaced

_TOLERANCE = 1e-4  # of the largest output: rounding is a hundred times smaller
_BATCH = 64


class FrozenPrefix:
    """All that a module computes before anything that learns.

    `maps(images)` runs the module up to the cut, `from_maps(maps)` runs only what comes after it: the parts before give
    zeros of the right shape, which costs next to nothing, and the last of them gives the maps. This asks nothing of how
    the network is written, and is checked by its result: the cut is the deepest one from which the module gives the
    same output, whatever ways lead around it.
    """

    def __init__(self, module: nn.Module, calls: list[Call]) -> None:
        self.module, self._calls = module, calls
        self.cut = calls[-1].name

    @classmethod
    def find(cls, module: nn.Module, images: Tensor) -> FrozenPrefix | None:
        """The deepest prefix without a parameter that learns; None where there is none.

        images (B, C, H, W), two or more, different from each other: what the cut is checked with.
        """
        calls = frozen_calls(module, images)
        parameters = {name for name, part in module.named_modules() if any(True for _ in part.parameters())}
        with torch.no_grad(), evaluating(module):
            expected = module(images)
            while calls:
                prefix = cls(module, calls)
                if calls[-1].name in parameters and prefix._agrees(images, expected):
                    return prefix
                calls = calls[:-1]
        return None

    @torch.no_grad()
    def maps(self, images: Tensor) -> Tensor:
        """The output at the cut (B, ...) for images (B, C, H, W)."""
        kept: list[Tensor] = []

        def keep(output: Tensor) -> Tensor:
            kept.append(output.detach().clone())
            raise _Cut

        try:
            with self._last_call(keep):
                self.module(images)
        except _Cut:
            pass
        return kept[0]

    def all_maps(self, batches: Callable[[int, int], Tensor], count: int) -> Tensor:
        """The maps (N, ...) of `count` images, which `batches(first, last)` gives a part at a time."""
        return torch.cat([self.maps(batches(first, min(first + _BATCH, count))) for first in range(0, count, _BATCH)])

    def from_maps(self, maps: Tensor) -> Tensor:
        """The module's output for the images whose maps these are."""
        with self.in_place_of_images(maps):
            return self.module(self.blank(len(maps), maps))

    @contextmanager
    def in_place_of_images(self, maps: Tensor) -> Iterator[None]:
        """In this block the module computes from `maps`, whatever images it is given."""
        made = iter(self._calls)

        def replay(_: Any, *__: Any, **___: Any) -> Tensor:
            call = next(made)
            if call is self._calls[-1]:
                return maps
            return maps.new_zeros(1, dtype=call.dtype).expand(len(maps), *call.shape[1:])

        parts = {call.name: self.module.get_submodule(call.name) for call in self._calls}
        counts = {name: sum(call.name == name for call in self._calls) for name in parts}
        with replaced(parts, counts, replay):
            yield

    def blank(self, count: int, like: Tensor) -> Tensor:
        """Images (count, C, H, W) of zeros that take no memory."""
        return like.new_zeros(1, dtype=torch.float32).expand(count, *self._image_shape)

    @property
    def bytes_an_image(self) -> int:
        """What the maps of one image take."""
        size = 1
        for side in self._calls[-1].shape[1:]:
            size *= side
        return size * self._calls[-1].dtype.itemsize

    def _agrees(self, images: Tensor, expected: Tensor) -> bool:
        self._image_shape = images.shape[1:]
        try:
            found = self.from_maps(self.maps(images))
        except (RuntimeError, ValueError, IndexError, StopIteration, TypeError):
            return False
        if found.shape != expected.shape:
            return False
        return bool((found - expected).abs().max() <= _TOLERANCE * expected.abs().max())

    @contextmanager
    def _last_call(self, keep: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """In this block the output of the last call before the cut goes to `keep`."""
        wanted = sum(call.name == self.cut for call in self._calls)
        seen = 0

        def look(_: nn.Module, __: Any, output: Tensor) -> None:
            nonlocal seen
            seen += 1
            if seen == wanted:
                keep(output)

        hook = self.module.get_submodule(self.cut).register_forward_hook(look)
        try:
            yield
        finally:
            hook.remove()


class _Cut(Exception):
    """What lies before the cut has been computed."""
