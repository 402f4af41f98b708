"""Precision for what rounding in float32 would spoil: solvers, decompositions, long iterations."""

import torch
from torch import Tensor


def in_float64(tensor: Tensor) -> Tensor:
    """`tensor` in float64, or as it is on MPS, the one device that lacks it."""
    return tensor if tensor.device.type == "mps" else tensor.to(torch.float64)
