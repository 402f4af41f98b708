"""Self-taught: a backbone from images without labels, by making them again (Raina et al. 2007)."""

from fewshot.transfer.self_taught.autoencoder import Autoencoder, Decoder
from fewshot.transfer.self_taught.denoising import Denoising
from fewshot.transfer.self_taught.images import load_unlabelled
from fewshot.transfer.self_taught.masked import Masked
from fewshot.transfer.self_taught.objective import Objective, create_objective, list_objectives, register_objective
from fewshot.transfer.self_taught.plain import Plain
from fewshot.transfer.self_taught.pretraining import Pretraining, pretrain
from fewshot.transfer.self_taught.statistics import measure_batch_norms, whole_images
from fewshot.transfer.self_taught.variational import Variational

__all__ = [
    "Autoencoder",
    "Decoder",
    "Denoising",
    "Masked",
    "Objective",
    "Plain",
    "Pretraining",
    "Variational",
    "create_objective",
    "list_objectives",
    "load_unlabelled",
    "measure_batch_norms",
    "pretrain",
    "register_objective",
    "whole_images",
]
