"""Regularised variants of fine-tuning, one file each."""

from fewshot.transfer.finetuning.regularisers.bss import BatchSpectralShrinkage, batch_spectral_shrinkage
from fewshot.transfer.finetuning.regularisers.co_tuning import CoTuning, category_relationship, co_tuning_loss
from fewshot.transfer.finetuning.regularisers.delta import Delta, filter_weights, map_distance
from fewshot.transfer.finetuning.regularisers.l2_sp import L2SP, l2_sp
from fewshot.transfer.finetuning.regularisers.lora import LoRA
from fewshot.transfer.finetuning.regularisers.regulariser import (
    Pass,
    Penalty,
    Regulariser,
    create_regulariser,
    describe_regulariser,
    list_regularisers,
    parse_regulariser,
    register_regulariser,
)
from fewshot.transfer.finetuning.regularisers.stoch_norm import StochasticNormalisation, StochNorm

__all__ = [
    "L2SP",
    "BatchSpectralShrinkage",
    "CoTuning",
    "Delta",
    "LoRA",
    "Pass",
    "Penalty",
    "Regulariser",
    "StochNorm",
    "StochasticNormalisation",
    "batch_spectral_shrinkage",
    "category_relationship",
    "co_tuning_loss",
    "create_regulariser",
    "describe_regulariser",
    "filter_weights",
    "l2_sp",
    "list_regularisers",
    "map_distance",
    "parse_regulariser",
    "register_regulariser",
]
