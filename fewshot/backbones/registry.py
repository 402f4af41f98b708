"""Backbones by name: `source:model[/tag][@weights file]`, one shared instance for all who ask for the same."""

import threading
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch

from fewshot.backbones.backbone import Backbone
from fewshot.backbones.devices import choose_device, choose_precision
from fewshot.backbones.folding import fold_batch_norms
from fewshot.backbones.layers import Blend, Layer, concatenate, layer_features
from fewshot.backbones.network import Network
from fewshot.backbones.weights import load_weights, weights_hash
from fewshot.errors import UnknownName
from fewshot.fingerprint import fingerprint
from fewshot.registry import Registry

Build = Callable[[bool], Network]

_SOURCES = ("open_clip", "timm", "torchvision")  # each a file in `sources/`, imported when first asked for
_registered: Registry[Build] = Registry("backbone")
_loaded: dict[tuple, Backbone] = {}
_lock = threading.RLock()


def register_backbone(name: str) -> Callable[[Build], Build]:
    """Enter a function under a name: it takes `pretrained` (bool) and returns a `Network`.

    >>> @register_backbone("my:net")
    ... def my_net(pretrained: bool) -> Network: ...
    """
    return _registered.register(name)


def list_backbones(pattern: str = "*", tags: bool = False) -> list[str]:
    """The names that match a shell pattern, sorted: `list_backbones("timm:*vit*")`.

    A bare name has the default weights of its library; `tags` lists every choice of weights too.
    """
    names = _registered.names()
    for source in _SOURCES:
        if fnmatchcase(source, pattern.split(":")[0]) or ":" not in pattern:
            names += [f"{source}:{model}" for model in _source(source).names(tags)]
    return sorted(name for name in names if fnmatchcase(name, pattern))


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
    name, path = _split(name, weights)
    device = choose_device(device)
    precision = choose_precision(precision, device)
    chosen = tuple(layers) if isinstance(layers, Sequence) and not isinstance(layers, str) else layers
    key = (name, _file_state(path), device, precision, chosen, pretrained or seed, blend, optimize)
    with _lock:
        if key not in _loaded:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                network = builder(name)(pretrained and path is None)
            if path is not None:
                load_weights(network, path, name)
            _loaded[key] = _assemble(name, network, device, precision, layers, blend, optimize)
        return _loaded[key]


def loaded_backbones() -> list[Backbone]:
    """Those that are in memory now; each tells its `memory` in bytes."""
    return list(_loaded.values())


def release(backbone: str | Backbone | None = None) -> int:
    """Free one backbone, all of one name, or all there are; returns how many bytes of weights that were."""
    found = [one for one in loaded_backbones() if backbone in (None, one, one.name)]
    freed = sum(one.memory for one in found)
    for one in found:
        one.release()
    return freed


def forget(backbone: Backbone) -> None:
    """Hand this instance out no more."""
    with _lock:
        for key in [key for key, one in _loaded.items() if one is backbone]:
            del _loaded[key]


def builder(name: str) -> Build:
    """The function that builds the network of that name; raises `UnknownName`."""
    source, _, model = name.partition(":")
    if name in _registered:
        return _registered[name]
    if source in _SOURCES and model:
        return lambda pretrained: _source(source).build(model, pretrained)
    if any(one.startswith(f"{source}:") for one in _registered):
        return _registered[name]
    raise UnknownName("backbone", name, list_backbones(), hint=f"a name is source:model, with {', '.join(_SOURCES)}, …")


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
        side = network.preprocess.image_size
        module = fold_batch_norms(module, torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)))
    return Backbone(name, network, module, device, precision, chosen, mark)


def _split(name: str, weights: str | Path | None) -> tuple[str, Path | None]:
    """The name without its file, and the file given in it or beside it."""
    name, _, path = name.removeprefix("file:").partition("@")
    given = path or weights
    return name, Path(given) if given else None


def _file_state(path: Path | None) -> tuple | None:
    """What tells a file from another, or from itself after a change."""
    if path is None or not path.exists():
        return None
    stat = path.stat()
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns


def _source(source: str) -> ModuleType:
    return import_module(f"fewshot.backbones.sources.{source}")
