"""Backbones by name: `source:model[/tag][@weights file]`."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from types import ModuleType

from fewshot.backbones.network import Network, TextTower
from fewshot.backbones.weights import Origin
from fewshot.errors import InvalidInput, MissingPackage, UnknownName
from fewshot.registry import Registry

Build = Callable[[bool], Network]

_SOURCES = (
    "bridge",
    "open_clip",
    "sentence",
    "timm",
    "torchvision",
)  # each a file in `sources/`, imported when first asked for
_registered: Registry[Build] = Registry("backbone")


def register_backbone(name: str) -> Callable[[Build], Build]:
    """Enter a function under a name such as "my:net": it takes `pretrained` (bool) and returns a `Network`."""
    return _registered.register(name)


def list_backbones(pattern: str = "*", tags: bool = False) -> list[str]:
    """The names that match a shell pattern, sorted: `list_backbones("timm:*vit*")`.

    A bare name has the default weights of its library; `tags` lists every choice of weights too. A source whose
    package is not installed has no names; if the pattern names that source, `MissingPackage` is raised.
    """
    names = _registered.names()
    for source in _SOURCES:
        asked, colon, _ = pattern.partition(":")
        if colon and not fnmatchcase(source, asked):
            continue
        try:
            names += [f"{source}:{model}" for model in _source(source).names(tags)]
        except MissingPackage:
            if asked == source:
                raise
    return sorted(name for name in names if fnmatchcase(name, pattern))


def split_name(name: str, weights: str | Path | None = None) -> tuple[str, Path | None]:
    """The name without its file, and the file given in it or beside it.

    Raises `InvalidInput` for a `file:` that does not say for which model it is.
    """
    model, _, path = name.removeprefix("file:").partition("@")
    given = path or weights
    if name.startswith("file:") and (not given or ":" not in model):
        raise InvalidInput(
            f"{name!r} must name a model and a file: file:SOURCE:MODEL@PATH, as file:timm:resnet18@my.pth"
        )
    return model, Path(given) if given else None


def build_network(name: str, pretrained: bool) -> Network:
    """The network of that name, on the CPU; raises `UnknownName` or `MissingWeights`."""
    source, _, model = name.partition(":")
    if source in _SOURCES and name not in _registered:
        return _source(source).build(model, pretrained)
    return _builder(name)(pretrained)


def build_sentence_tower(name: str, path: Path | None, pretrained: bool) -> TextTower:
    """The sentence encoder of that name, on the CPU; raises `UnknownName` or `MissingWeights`."""
    if path is not None:
        raise InvalidInput(f"{name} takes no file of weights; name a folder that holds them: sentence:FOLDER")
    source, _, model = name.partition(":")
    return _source(source).build_text(model, pretrained)


def weights_origin(name: str) -> Origin | None:
    """Where the pretrained weights come from; None where there are none. Raises `UnknownName`."""
    source, _, model = name.partition(":")
    if source in _SOURCES and name not in _registered:
        return _source(source).origin(model)
    _builder(name)
    return None


def _builder(name: str) -> Build:
    if name not in _registered:
        source = name.partition(":")[0]
        near = _registered.names(f"{source}:*") or list_backbones()
        raise UnknownName("backbone", name, near, hint="a name is source:model, such as timm:resnet18")
    return _registered[name]


def _source(source: str) -> ModuleType:
    return import_module(f"fewshot.backbones.sources.{source}")
