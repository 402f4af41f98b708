"""`bridge:` names: a short name, IMAGE+TEXT, or a folder; each with `/how` where it is fitted on the fly."""

import os
from pathlib import Path

from fewshot.backbones.bridge.bridge import Bridge
from fewshot.backbones.bridge.fitting import WAYS, fit_bridge
from fewshot.backbones.bridge.storage import saved_towers
from fewshot.backbones.registry import register_backbone
from fewshot.errors import UnknownName

PAIRS = {"lite0-minilm": ("timm:tf_efficientnet_lite0", "sentence:all-MiniLM-L6-v2")}


def named_bridge(name: str, pretrained: bool = True) -> Bridge:
    """The bridge of a name without its `bridge:`; raises `UnknownName` for a name that is none.

    NAME[/how] for a name of `PAIRS`, IMAGE_NAME+TEXT_NAME[/how] for any two, FOLDER for a saved one.
    """
    if _is_saved(name):
        return Bridge.load(name, pretrained)
    image, text, how = _parts(name)
    return fit_bridge(image, text, how, pretrained=pretrained)


def tower_names(name: str) -> tuple[str, str]:
    """The names of the image backbone and of the sentence encoder that the bridge of a name joins."""
    return saved_towers(Path(name)) if _is_saved(name) else _parts(name)[:2]


def _is_saved(name: str) -> bool:
    """Whether a name is a folder; those of `PAIRS` are not, whatever lies in the working folder."""
    return name not in PAIRS and os.path.isdir(name)


def _parts(name: str) -> tuple[str, str, str | None]:
    """Image backbone, sentence encoder and way."""
    pair, _, how = name.rpartition("/")
    if "+" in name:
        image, _, text = (pair if how in WAYS else name).partition("+")
        return image, text, how if how in WAYS else None
    short, slash, how = name.partition("/")
    if short not in PAIRS:
        hint = "a bridge is a short name, IMAGE_NAME+TEXT_NAME, each with /how, or a folder that Bridge.save wrote"
        raise UnknownName("bridge", name, PAIRS, hint=hint)
    return (*PAIRS[short], how if slash else None)


def register_bridge(name: str, bridge: Bridge) -> None:
    """Enter a bridge as the backbone of a name such as "my:bridge"; a name that is taken raises `InvalidInput`."""
    register_backbone(name)(lambda pretrained: bridge.network())
