"""What every way of joining gives: a map of image features and a map of text vectors into one space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from fewshot.backbones.network import TakesVectors
from fewshot.fingerprint import fingerprint


@dataclass(frozen=True)
class Join(ABC):
    """Tensors and numbers that bring image features (N, D) and text vectors (N, E) into one space (N, K).

    Text vectors are divided by their length first, whatever length they come with. The vectors that come out are not
    of length 1. A subclass is a frozen dataclass whose fields are tensors, and int or float settings.
    """

    @abstractmethod
    def image(self, features: Tensor) -> Tensor:
        """Image features (N, D) in the common space (N, K)."""

    @abstractmethod
    def text(self, vectors: Tensor) -> Tensor:
        """Text vectors (N, E) in the common space (N, K)."""

    @property
    def projection(self) -> Tensor | None:
        """The matrix (D, K) that the image side ends with, where `before` times it is what `image` gives; else None."""
        return None

    def before(self, features: Tensor) -> Tensor:
        """Image features (N, D) as they go into `projection`; only where there is one."""
        raise NotImplementedError

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The fields that are tensors."""
        return {name: value for name, value in self._fields() if isinstance(value, Tensor)}

    @property
    def settings(self) -> dict[str, Any]:
        """The other fields, ready for JSON."""
        return {name: value for name, value in self._fields() if not isinstance(value, Tensor)}

    @property
    def fingerprint(self) -> str:
        """Changes with every value of it."""
        tensors = self.tensors
        return fingerprint(
            type(self).__name__, self.settings, sorted(tensors), *(tensors[key] for key in sorted(tensors))
        )

    def to(self, dtype: torch.dtype) -> Join:
        """The same with tensors of another type, each laid out row by row as a file has it."""
        return replace(self, **{name: tensor.to(dtype).contiguous() for name, tensor in self.tensors.items()})

    def _fields(self) -> list[tuple[str, Any]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


class Side(nn.Module):
    """One side of a join ("image", "before" or "text") as the last module of a tower, in float32 whatever that is in.

    Its tensors move with the module and are no part of the state dict: the fingerprint of the bridge stands for them.
    """

    def __init__(self, join: Join, side: str) -> None:
        super().__init__()
        self.join, self.side, self.names = join, side, list(join.tensors)
        for name, tensor in join.tensors.items():
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (N, D) in the common space (N, K)."""
        join = replace(self.join, **{name: getattr(self, name) for name in self.names})
        with torch.autocast(vectors.device.type, enabled=False):
            return getattr(join, self.side)(vectors.float())


class JoinedText(nn.Sequential):
    """A sentence encoder and the text side of a join; it takes words or, as the encoder does, their vectors."""

    def __init__(self, tower: nn.Module, join: Join) -> None:
        super().__init__(tower, Side(join, "text"))

    @property
    def width(self) -> int:
        """The number of values of the vector of a token."""
        return self._tower.width

    def embed(self, tokens: Tensor) -> Tensor:
        """The vectors (B, L, width) of token ids (B, L)."""
        return self._tower.embed(tokens)

    def positions(self, tokens: Tensor) -> Tensor:
        """What `encode` must know of each text (B,)."""
        return self._tower.positions(tokens)

    def encode(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """From the vectors of tokens (B, L, width) to those of texts (B, K) in the common space."""
        return self[1](self._tower.encode(vectors, positions))

    @property
    def _tower(self) -> TakesVectors:
        return cast(TakesVectors, self[0])
