"""Training across tasks: images on the device, batches of tasks, the loop with its checkpoints, the trained model."""

from fewshot.learners.meta.training.meta_model import MetaModel
from fewshot.learners.meta.training.meta_training import MetaTraining
from fewshot.learners.meta.training.trainer import meta_train

__all__ = ["MetaModel", "MetaTraining", "meta_train"]
