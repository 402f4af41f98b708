"""What every way to balance label sets is: settings, and the step from their losses to the gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from fewshot.registry import MethodRegistry
from fewshot.transfer.multitask.network import MultitaskNetwork


@dataclass
class Balance:
    """Where a balancing stands: weights (tasks,), the first loss of each label set (NaN until seen), and its draws.

    Weights that require a gradient are trained together with the network.
    """

    weights: Tensor
    first: Tensor
    generator: torch.Generator


@dataclass(frozen=True)
class Balancing(ABC):
    """How the losses of several label sets become one step. The fields of a class are its settings."""

    name: ClassVar[str] = "unregistered"
    paper: ClassVar[str] = ""

    def start(self, tasks: int, seed: int = 0) -> Balance:
        """Before the first step: every weight is 1."""
        return Balance(torch.ones(tasks), torch.full((tasks,), torch.nan), torch.Generator().manual_seed(seed))

    @abstractmethod
    def backward(self, losses: Tensor, present: Tensor, network: MultitaskNetwork, balance: Balance) -> None:
        """Leave a gradient on every parameter of the network, and bring `balance` up to date.

        losses (tasks,), with their graph; present (tasks,) bool, false for a label set without a label in this batch.
        """


AnyBalancing = TypeVar("AnyBalancing", bound=type[Balancing])
_BALANCINGS: MethodRegistry[Balancing] = MethodRegistry("balancing")


def register_balancing(name: str, paper: str) -> Callable[[AnyBalancing], AnyBalancing]:
    """Decorate a `Balancing` dataclass to enter it under `name`."""
    return _BALANCINGS.method(name, paper)


def create_balancing(name: str, **settings: Any) -> Balancing:
    """The balancing called `name`, with its paper's defaults; raises `UnknownName` or `InvalidInput`."""
    return _BALANCINGS.create(name, settings)


def list_balancings() -> list[str]:
    """The names of all, sorted."""
    return _BALANCINGS.names()
