"""What every self-taught objective is: settings, and a loss of images without labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from fewshot.registry import MethodRegistry
from fewshot.transfer.self_taught.autoencoder import Autoencoder


@dataclass(frozen=True)
class Objective(ABC):
    """What an autoencoder learns of images alone. The fields of a class are its settings."""

    name: ClassVar[str] = "unregistered"
    paper: ClassVar[str] = ""

    def code(self, dim: int) -> tuple[nn.Module, int]:
        """What lies between features (B, dim) and decoder, and how many numbers the decoder takes."""
        return nn.Identity(), dim

    @abstractmethod
    def loss(self, model: Autoencoder, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """The loss of images (B, C, H, W) in [0, 1]; whatever is random is drawn from `generator`, on the CPU."""


AnyObjective = TypeVar("AnyObjective", bound=type[Objective])
_OBJECTIVES: MethodRegistry[Objective] = MethodRegistry("objective")


def register_objective(name: str, paper: str) -> Callable[[AnyObjective], AnyObjective]:
    """Decorate an `Objective` dataclass to enter it under `name`."""
    return _OBJECTIVES.method(name, paper)


def create_objective(name: str, **settings: Any) -> Objective:
    """The objective called `name`, with defaults where no setting is given; raises `UnknownName` or `InvalidInput`."""
    return _OBJECTIVES.create(name, settings)


def list_objectives() -> list[str]:
    """The names of all, sorted."""
    return _OBJECTIVES.names()
