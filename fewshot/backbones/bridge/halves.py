"""The two towers that a bridge joins, found by name, each with a fingerprint that no precision or device changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fewshot.backbones.backbone import Backbone
from fewshot.backbones.network import Network, TextTower
from fewshot.backbones.registry import build_network, build_sentence_tower
from fewshot.backbones.text_encoder import TextEncoder
from fewshot.backbones.weights import weights_hash
from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint


@dataclass(frozen=True)
class ImageHalf:
    """An image tower on the CPU."""

    name: str
    network: Network
    fingerprint: str

    @property
    def head(self) -> nn.Linear | None:
        """The classifier that was taken off."""
        return self.network.head if isinstance(self.network.head, nn.Linear) else None

    @property
    def dim(self) -> int:
        """The number of features."""
        if self.head is not None:
            return self.head.in_features
        with torch.no_grad():
            return self.network.module(torch.zeros(1, *self.network.preprocess.shape)).shape[1]


@dataclass(frozen=True)
class TextHalf:
    """A sentence encoder on the CPU."""

    name: str
    tower: TextTower
    fingerprint: str
    pretrained: bool = True

    @property
    def dim(self) -> int:
        """The number of values of a vector."""
        return self.encode([""]).shape[1]

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Vectors (N, E) in float32."""
        encoder = TextEncoder(self.name, self.tower, torch.device("cpu"), "float32", self.fingerprint)
        return encoder(texts, batch_size=64)


def image_half(image: str | Backbone, pretrained: bool = True) -> ImageHalf:
    """The image tower of that name; raises `InvalidInput` for a backbone with weights that its name does not give."""
    name = image if isinstance(image, str) else image.name
    network = build_network(name, pretrained)
    if isinstance(image, Backbone) and (image.weights != network.weights or image.layers is not None):
        raise InvalidInput(
            f"a bridge names its image tower and takes the weights and pooled features of that name; {name} was made "
            f"with weights {image.weights} and layers {image.layers}: enter it with register_backbone first"
        )
    content = weights_hash(network.module.state_dict())
    return ImageHalf(name, network, fingerprint(network.architecture or name, content, network.preprocess.settings))


def text_half(text: str | TextEncoder, pretrained: bool = True) -> TextHalf:
    """The sentence encoder of that name; raises `InvalidInput` for a name that is none."""
    name = text if isinstance(text, str) else text.name
    if not name.startswith("sentence:"):
        raise InvalidInput(
            f"a bridge's text half is a sentence: encoder, such as sentence:all-MiniLM-L6-v2, not {name!r}"
        )
    tower = build_sentence_tower(name, None, pretrained)
    mark = fingerprint(weights_hash(tower.module.state_dict()), tower.settings)
    return TextHalf(name, tower, mark, pretrained)
