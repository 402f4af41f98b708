"""Probabilities over the classes of a task."""

from torch import Tensor

_FEW = 32  # classes: below, torch's softmax over the last dimension does one at a time on a CPU


def class_softmax(logits: Tensor) -> Tensor:
    """The softmax over the last dimension of logits (..., N, W); several times as fast as torch's for few classes."""
    if logits.shape[-1] < _FEW and logits.device.type == "cpu":
        return logits.mT.contiguous().softmax(-2).mT
    return logits.softmax(-1)
