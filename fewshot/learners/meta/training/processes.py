"""Training in several processes, as torchrun starts them: each draws its own tasks, and gradients are averaged."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from fewshot.errors import InvalidInput


@dataclass(frozen=True)
class Processes:
    """The processes of one training: how many there are, and the rank of this one."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """The processes that torchrun started this one with, or this one alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
            atexit.register(distributed.destroy_process_group)
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process is the one that validates, writes and talks."""
        return self.rank == 0

    def check(self, tasks: int) -> None:
        """Raise `InvalidInput` unless each process gets the same number of tasks a step."""
        if tasks % self.count:
            raise InvalidInput(f"{tasks} tasks a step cannot be shared by {self.count} processes; take a multiple")

    def average_gradients(self, model: nn.Module) -> None:
        """Give all processes the mean gradient; parameters without one count as zero."""
        if self.count == 1:
            return
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._average([parameter.grad for parameter in parameters if parameter.grad is not None])

    def average_buffers(self, model: nn.Module, start: str = "") -> None:
        """Give all processes the mean of the running statistics, or of the buffers whose names begin with `start`."""
        if self.count > 1:
            named = ((name, buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point())
            self._average([buffer for name, buffer in named if name.startswith(start)])

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over the processes."""
        value = value.clone()
        if self.count > 1:
            self._average([value])
        return value

    def share(self, flag: bool, device: torch.device) -> bool:
        """What the first process says, told to all."""
        if self.count == 1:
            return flag
        told = torch.tensor(float(flag), device=device)
        distributed.broadcast(told, src=0)
        return bool(told)

    def _average(self, tensors: list[Tensor]) -> None:
        """In place, as one message."""
        if not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


def device_of_process(device: torch.device) -> torch.device:
    """The GPU of this process where torchrun started one a GPU."""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device
