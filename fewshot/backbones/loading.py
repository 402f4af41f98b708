"""Backbones made ready: weights, device, precision and layers put together, once for all who ask for the same."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from fewshot.backbones.backbone import Backbone
from fewshot.backbones.building import network_with_weights, state_of
from fewshot.backbones.devices import choose_device, choose_precision
from fewshot.backbones.folding import fold_batch_norms
from fewshot.backbones.layers import Blend, Layer, concatenate, layer_features
from fewshot.backbones.network import Network
from fewshot.backbones.registry import split_name
from fewshot.backbones.text_encoder import TextEncoder
from fewshot.backbones.text_loading import loaded_text_encoders, shared_text_encoder
from fewshot.backbones.weights import weights_hash
from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint

_loaded: dict[tuple, Backbone] = {}
_lock = threading.RLock()


def create_backbone(
    name: str,
    device: str | torch.device = "auto",
    precision: str = "auto",
    layers: Layer | Sequence[Layer] | None = None,
    pretrained: bool = True,
    weights: str | Path | None = None,
    blend: Blend = concatenate,
    seed: int = 0,
    optimize: bool = True,
) -> Backbone:
    """The backbone of that name, loaded once and shared by all who ask for the same.

    name: `source:model`, with `/tag` for other weights than the default ones (timm's own form: `timm:resnet18.a1_in1k`)
        and `@PATH` for weights from a file; a leading `file:` is allowed there (`file:timm:resnet18@my.safetensors`).
    device, precision: "auto" takes what the machine has and what it computes quickest.
    layers: None for the pooled features below the classifier; else one or several layers, by name, by index (negative
        ones from the end) or as "shallow", "middle", "deep"; or "pre-projection", the features before the last linear
        map of a CLIP image tower.
    pretrained: False for random weights, drawn from `seed`.
    weights: a file with the weights (safetensors or a torch state dict), in place of those of the source.
    blend: what becomes of several layers: by default each is divided by its norm and they are put side by side; or a
        function from a list of (B, C_i) to (B, D).
    optimize: fold batch norms into convolutions, which changes features by rounding only.

    Raises `UnknownName` for a name or layer that does not exist, `MissingWeights` where weights cannot be had, and
    `InvalidInput` for weights that do not fit or a device or precision that is not there.
    """
    name, path = split_name(name, weights)
    device = choose_device(device)
    precision = choose_precision(precision, device)
    chosen = tuple(layers) if isinstance(layers, Sequence) and not isinstance(layers, str) else layers
    key = (name, state_of(path), device, precision, chosen, None if pretrained else seed, blend, optimize)
    with _lock:
        if key not in _loaded or _loaded[key].released:
            network = network_with_weights(name, path, pretrained, seed)
            text = None
            if network.text and layers in (None, "pre-projection"):
                text = partial(
                    shared_text_encoder, name, path, device, precision, None if pretrained else seed, network.text
                )
            _loaded[key] = _assemble(name, network, device, precision, layers, blend, optimize, text)
        return _loaded[key]


def loaded_backbones() -> list[Backbone]:
    """Those that are in memory now; each tells its `memory` in bytes."""
    return [backbone for backbone in _loaded.values() if not backbone.released]


def release(which: str | Backbone | TextEncoder | None = None) -> int:
    """Free one backbone with its text encoder, all of one name, or all; returns how many bytes of weights that were."""
    before = _memory()
    for one in _in_memory():
        if which in (None, one, one.name):
            one.release()
    return before - _memory()


def _in_memory() -> list[Backbone | TextEncoder]:
    return [*loaded_backbones(), *loaded_text_encoders()]


def _memory() -> int:
    return sum(one.memory for one in _in_memory())


def _assemble(
    name: str,
    network: Network,
    device: torch.device,
    precision: str,
    layers: Layer | Sequence[Layer] | None,
    blend: Blend,
    optimize: bool,
    text: Callable[[], TextEncoder] | None,
) -> Backbone:
    module: nn.Module = network.module
    chosen: tuple[str, ...] | None = None
    blended: list[str] | None = None
    if layers == "pre-projection":
        module, chosen, blended = _before_projection(name, network), (layers,), [layers]
    elif layers is not None:
        module, chosen = layer_features(module, layers, blend, network.pool, network.intermediates)
        blended = [*chosen, f"{blend.__module__}.{blend.__qualname__}"]
    architecture = network.architecture or name
    content = weights_hash(network.module.state_dict())  # before anything is folded
    mark = fingerprint(architecture, content, network.preprocess.settings, precision, blended)
    if optimize:
        trial = torch.rand(1, *network.preprocess.shape, generator=torch.Generator().manual_seed(0))
        module = fold_batch_norms(module, trial)
    return Backbone(name, network, module, device, precision, chosen, mark, text)


def _before_projection(name: str, network: Network) -> nn.Module:
    if network.before_projection is None:
        raise InvalidInput(
            f"{name} does not end with a linear projection without a bias, so there are no features before it; take "
            "another backbone, such as a CLIP vision transformer"
        )
    return network.before_projection
