"""What a trunk is fed: features that were extracted once, or images kept as bytes."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.backbones import create_backbone
from fewshot.backbones.building import network_with_weights
from fewshot.backbones.registry import split_name
from fewshot.embeddings import embed
from fewshot.learners.meta.training.image_bank import open_images
from fewshot.transfer.multitask.network import feature_trunk
from fewshot.transfer.multitask.training import Inputs, MakeTrunk

if TYPE_CHECKING:
    from fewshot.backbones import Preprocessing
    from fewshot.datasets import Dataset


def feature_inputs(features: Tensor) -> Inputs:
    """Rows of a feature matrix (N, D)."""
    return features.float().__getitem__


def image_inputs(dataset: Dataset, preprocess: Preprocessing, progress: bool = False) -> Inputs:
    """Prepared images of a data set, decoded once where they fit into memory."""
    bank = open_images(dataset, preprocess, torch.device("cpu"), progress)
    return lambda rows: bank.scale.to_floats(bank.gather(rows))


def open_trunk(
    backbone: str, dataset: Dataset, whole: bool, pretrained: bool = True, seed: int = 0, progress: bool = False
) -> tuple[MakeTrunk, Inputs]:
    """How to make a trunk, and its inputs: the backbone itself on images if `whole`, else a small one on its features.

    A whole backbone that is neither pretrained nor from a file is drawn anew each time that a trunk is made.
    """
    if not whole:
        features = create_backbone(backbone, device="cpu", pretrained=pretrained, seed=seed)
        table = embed(features, dataset, progress=progress)
        return partial(feature_trunk, table.dim), feature_inputs(table.features)
    name, path = split_name(backbone)
    network = network_with_weights(name, path, pretrained, seed)
    inputs = image_inputs(dataset, network.preprocess, progress)
    if pretrained or path is not None:
        return lambda: deepcopy(network.module), inputs
    return lambda: network_with_weights(name, None, False, int(torch.randint(2**31, ()))).module, inputs
