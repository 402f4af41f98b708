"""How many items weights leave in effect (Kish 1965): few mean that the answer rests on a handful of them."""

from torch import Tensor


def effective_size(weights: Tensor) -> float:
    """(sum w)² / sum w²: N for equal weights (N,), 1 where one item has it all, 0 where none has any."""
    squares = float(weights.square().sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0
