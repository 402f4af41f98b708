"""Fine-tuning in stages: schedules as data, frozen layers computed once, regularised variants, resume."""

from fewshot.transfer.finetuning.images import Generator, LabelledImages
from fewshot.transfer.finetuning.model import TransferModel, build_model, resized
from fewshot.transfer.finetuning.prefix import FrozenPrefix
from fewshot.transfer.finetuning.regularisers import (
    Regulariser,
    create_regulariser,
    describe_regulariser,
    list_regularisers,
    parse_regulariser,
)
from fewshot.transfer.finetuning.schedule import PRESETS, Schedule, Stage, parse_schedule
from fewshot.transfer.finetuning.settings import FineTuning
from fewshot.transfer.finetuning.trainer import fine_tune
from fewshot.transfer.finetuning.tuned import FineTuned

__all__ = [
    "PRESETS",
    "FineTuned",
    "FineTuning",
    "FrozenPrefix",
    "Generator",
    "LabelledImages",
    "Regulariser",
    "Schedule",
    "Stage",
    "TransferModel",
    "build_model",
    "create_regulariser",
    "describe_regulariser",
    "fine_tune",
    "list_regularisers",
    "parse_regulariser",
    "parse_schedule",
    "resized",
]
