"""Transfer: from a pretrained network to a small data set, measured, and knowing when not to.

`layers` compares the depths of a network, `finetuning` trains it in stages, `augmentation` changes its images,
`small_data` makes the most of few of them, `domains` measures and closes the gap between two data sets,
`transferability` ranks sources without training, `negative` tells when the source hurts, `multitask` learns several
label sets at once, `self_taught` learns from images alone. Every method says what it may see
([`Sees`][fewshot.transfer.sees.Sees]), and every number is a
[`TransferResult`][fewshot.transfer.result.TransferResult].
"""

from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import ADAPTS, ADAPTS_TO_TEST, INDUCTIVE, SOURCE_FREE, SOURCE_ONLY, TARGET_ONLY, Sees

__all__ = [
    "ADAPTS",
    "ADAPTS_TO_TEST",
    "INDUCTIVE",
    "SOURCE_FREE",
    "SOURCE_ONLY",
    "TARGET_ONLY",
    "Sees",
    "TransferResult",
    "TransferStore",
]
