"""LoRA: weights stay, and each layer learns an update of low rank beside them (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from fewshot.errors import InvalidInput, MissingPackage
from fewshot.transfer.finetuning.regularisers.regulariser import Penalty, Regulariser, register_regulariser

if TYPE_CHECKING:
    from fewshot.transfer.finetuning.images import LabelledImages
    from fewshot.transfer.finetuning.model import TransferModel


@register_regulariser(
    "lora", paper="Hu et al. 2021, LoRA: Low-rank adaptation of large language models, arXiv:2106.09685"
)
@dataclass(frozen=True)
class LoRA(Regulariser):
    """Trains updates of low rank to linear layers and ungrouped convolutions; all else of the trunk stays frozen.

    W + (scale / rank) B A, by the package peft. A stage trains the updates of the layers that it names.
    """

    rank: int = 8
    scale: float = 16.0

    def begin(self, model: TransferModel, images: LabelledImages) -> Penalty | None:
        """Put the updates in; raises `InvalidInput` where there is no layer for them."""
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError:
            raise MissingPackage("peft", "LoRA", extra="transfer") from None
        if self.rank < 1:
            raise InvalidInput(f"rank must be 1 or more, found {self.rank}")
        targets = [
            name
            for name, part in model.trunk.named_modules()
            if isinstance(part, nn.Linear) or (isinstance(part, nn.Conv2d) and part.groups == 1)
        ]
        if not targets:
            raise InvalidInput(f"lora needs linear layers or plain convolutions, and {model.name} has none")
        config = LoraConfig(r=self.rank, lora_alpha=self.scale, target_modules=targets)  # type: ignore[arg-type]
        inject_adapter_in_model(config, model.trunk)
        model.always_frozen = {
            name for name, _ in model.named_parameters() if name.startswith("trunk.") and ".lora_" not in name
        }
        return None
