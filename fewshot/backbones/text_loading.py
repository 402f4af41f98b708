"""Text encoders made ready, once for all who ask for the same, as backbones are."""

import threading
from collections.abc import Callable
from pathlib import Path

import torch

from fewshot.backbones.building import network_with_weights, seeded, state_of
from fewshot.backbones.devices import choose_device, choose_precision
from fewshot.backbones.network import TextTower
from fewshot.backbones.registry import build_sentence_tower, split_name
from fewshot.backbones.text_encoder import TextEncoder
from fewshot.backbones.weights import weights_hash
from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint

_loaded: dict[tuple, TextEncoder] = {}
_lock = threading.RLock()


def create_text_encoder(
    name: str,
    device: str | torch.device = "auto",
    precision: str = "auto",
    pretrained: bool = True,
    weights: str | Path | None = None,
    seed: int = 0,
) -> TextEncoder:
    """The text encoder of that name, loaded once and shared by all who ask for the same.

    name: `sentence:NAME` or `sentence:FOLDER` for a sentence encoder, or the name of a backbone with a text tower, such
        as `open_clip:ViT-B-32/openai`: the same encoder as `create_backbone(name).text`, without the image tower.
    device, precision, pretrained, weights, seed: as in `create_backbone`.

    Raises `UnknownName`, `MissingWeights`, and `InvalidInput` for a backbone without a text tower.
    """
    name, path = split_name(name, weights)
    device = choose_device(device)

    def build() -> TextTower:
        if name.startswith("sentence:"):
            return seeded(seed, lambda: build_sentence_tower(name, path, pretrained))
        make = network_with_weights(name, path, pretrained, seed).text
        if make is None:
            raise InvalidInput(
                f"{name} has no text tower; name an open_clip: or bridge: backbone, or a sentence encoder such as "
                "sentence:all-MiniLM-L6-v2"
            )
        return make()

    return shared_text_encoder(
        name, path, device, choose_precision(precision, device), None if pretrained else seed, build
    )


def shared_text_encoder(
    name: str,
    path: Path | None,
    device: torch.device,
    precision: str,
    seed: int | None,
    build: Callable[[], TextTower],
) -> TextEncoder:
    """The encoder of that name, file, device, precision and seed, made of what `build` gives if it isn't in memory."""
    key = (name, state_of(path), device, precision, seed)
    with _lock:
        if key not in _loaded or _loaded[key].released:
            tower = build()
            mark = fingerprint(weights_hash(tower.module.state_dict()), tower.settings, precision)
            _loaded[key] = TextEncoder(name, tower, device, precision, mark)
        return _loaded[key]


def loaded_text_encoders() -> list[TextEncoder]:
    """Those that are in memory now, those of backbones too."""
    return [encoder for encoder in _loaded.values() if not encoder.released]
