"""What a training computes in, and float64 for what rounding would spoil: solvers, decompositions, long iterations."""

from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]


def in_float64(tensor: Tensor) -> Tensor:
    """`tensor` in float64, or as it is on MPS, the one device that lacks it."""
    return tensor if tensor.device.type == "mps" else tensor.to(torch.float64)
