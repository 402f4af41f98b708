"""Backbones made ready: weights, device, precision and layers put together, once for all who ask for the same."""

import threading
from collections.abc import Sequence
from pathlib import Path

import torch

from fewshot.backbones.backbone import Backbone
from fewshot.backbones.devices import choose_device, choose_precision
from fewshot.backbones.folding import fold_batch_norms
from fewshot.backbones.layers import Blend, Layer, concatenate, layer_features
from fewshot.backbones.network import Network
from fewshot.backbones.registry import build_network, split_name
from fewshot.backbones.weights import load_weights, weights_hash
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
        ones from the end) or as "shallow", "middle", "deep".
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
    key = (name, _state_of(path), device, precision, chosen, None if pretrained else seed, blend, optimize)
    with _lock:
        if key not in _loaded or _loaded[key].released:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                network = build_network(name, pretrained and path is None)
            if path is not None:
                load_weights(network, path, name)
            _loaded[key] = _assemble(name, network, device, precision, layers, blend, optimize)
        return _loaded[key]


def loaded_backbones() -> list[Backbone]:
    """Those that are in memory now; each tells its `memory` in bytes."""
    return [backbone for backbone in _loaded.values() if not backbone.released]


def release(backbone: str | Backbone | None = None) -> int:
    """Free one backbone, all of one name, or all there are; returns how many bytes of weights that were."""
    found = [one for one in loaded_backbones() if backbone in (None, one, one.name)]
    freed = sum(one.memory for one in found)
    for one in found:
        one.release()
    return freed


def _assemble(
    name: str,
    network: Network,
    device: torch.device,
    precision: str,
    layers: Layer | Sequence[Layer] | None,
    blend: Blend,
    optimize: bool,
) -> Backbone:
    module, chosen, blended = network.module, None, None
    if layers is not None:
        module, chosen = layer_features(module, layers, blend, network.pool, network.intermediates)
        blended = [*chosen, f"{blend.__module__}.{blend.__qualname__}"]
    architecture = network.architecture or name
    content = weights_hash(network.module.state_dict())  # before anything is folded
    mark = fingerprint(architecture, content, network.preprocess.settings, precision, blended)
    if optimize:
        trial = torch.rand(1, *network.preprocess.shape, generator=torch.Generator().manual_seed(0))
        module = fold_batch_norms(module, trial)
    return Backbone(name, network, module, device, precision, chosen, mark)


def _state_of(path: Path | None) -> tuple | None:
    """What tells a file from another, or from itself after a change."""
    if path is None:
        return None
    stat = path.stat() if path.exists() else None
    return str(path.resolve()), stat and (stat.st_size, stat.st_mtime_ns)
