"""What the MAML family trains: a backbone, a linear head, and the rates where these are learned."""

from __future__ import annotations

from torch import Tensor, nn

from fewshot.learners.meta.gradient.batch_norm import BatchNormMode, set_batch_norm


class GradientModel(nn.Module):
    """Backbone and linear head, whose first weights are what meta-training looks for.

    The batch norm layers of the backbone are replaced, in place, by those of the mode.
    """

    def __init__(self, backbone: nn.Module, dim: int, outputs: int, mode: BatchNormMode, steps: int) -> None:
        super().__init__()
        self.backbone = set_batch_norm(backbone, mode, steps).train().requires_grad_()
        self.head = nn.Linear(dim, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (B, ways) of inputs (B, ...)."""
        return self.head(self.backbone(inputs))
