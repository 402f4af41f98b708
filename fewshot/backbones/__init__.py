"""Backbones: pretrained networks found by name, each with its weights, its preprocessing and its fingerprint."""

from fewshot.backbones.backbone import Backbone
from fewshot.backbones.network import Network, Preprocessing
from fewshot.backbones.registry import (
    create_backbone,
    list_backbones,
    loaded_backbones,
    register_backbone,
    release,
)

__all__ = [
    "Backbone",
    "Network",
    "Preprocessing",
    "create_backbone",
    "list_backbones",
    "loaded_backbones",
    "register_backbone",
    "release",
]
