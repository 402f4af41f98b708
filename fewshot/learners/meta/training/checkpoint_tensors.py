"""The tensors of a training in one file: a model's as `model.NAME`, an optimiser's as `optimizer.NUMBER.NAME`."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def training_tensors(model: Mapping[str, Tensor], optimiser: torch.optim.Optimizer | None = None) -> dict[str, Tensor]:
    """The tensors of a model's `state_dict` and of the optimiser's state, by their names in the file."""
    tensors = {f"model.{name}": tensor for name, tensor in model.items()}
    if optimiser is not None:
        for number, state in optimiser.state_dict()["state"].items():
            kept = {name: value for name, value in state.items() if value is not None}
            tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in kept.items()}
    return tensors


def model_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's part of what `training_tensors` gave, for its `load_state_dict`."""
    return _under("model.", tensors)


def optimiser_state(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's part of what `training_tensors` gave, by number of the parameter."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimizer.", tensors).items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    return state


def set_state(optimiser: torch.optim.Optimizer, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Put the state in, and leave the optimiser's groups and their settings as they are."""
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
