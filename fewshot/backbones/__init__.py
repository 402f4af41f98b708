"""Backbones: networks found by name, each with its weights, its preprocessing and its fingerprint."""

from fewshot.backbones import networks
from fewshot.backbones.backbone import Backbone
from fewshot.backbones.facts import describe_backbone
from fewshot.backbones.loading import create_backbone, loaded_backbones, release
from fewshot.backbones.network import Network, Preprocessing, TakesVectors, TextTower
from fewshot.backbones.registry import list_backbones, register_backbone
from fewshot.backbones.text_encoder import TextEncoder
from fewshot.backbones.text_loading import create_text_encoder, loaded_text_encoders

__all__ = [
    "Backbone",
    "Network",
    "Preprocessing",
    "TakesVectors",
    "TextEncoder",
    "TextTower",
    "create_backbone",
    "create_text_encoder",
    "describe_backbone",
    "list_backbones",
    "loaded_backbones",
    "loaded_text_encoders",
    "networks",
    "register_backbone",
    "release",
]
