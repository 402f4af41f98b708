"""A bridge as a folder: `join.safetensors`, and `bridge.json`, which says what it joins and how."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from fewshot.backbones.bridge.asif import ASIF
from fewshot.backbones.bridge.bridge import Bridge
from fewshot.backbones.bridge.conse import ConSE
from fewshot.backbones.bridge.halves import ImageHalf, TextHalf, image_half, text_half
from fewshot.backbones.bridge.join import Join
from fewshot.backbones.bridge.kernel import KernelToImage
from fewshot.backbones.bridge.linear import ImageToText, TextToImage, TwoProjections
from fewshot.backbones.bridge.neighbours import Neighbours
from fewshot.errors import FingerprintMismatch, UnreadableFile
from fewshot.files import read_json, whole_folder, write_json, write_tensors
from fewshot.fingerprint import fingerprint

VERSION = 1
TENSORS, MANIFEST = "join.safetensors", "bridge.json"
_ENTRIES = {"kind", "settings", "how", "scale", "fingerprint", "join", "image", "text"}
_JOINS: dict[str, type[Join]] = {
    kind.__name__: kind for kind in (ASIF, ConSE, ImageToText, KernelToImage, Neighbours, TextToImage, TwoProjections)
}


def save_bridge(bridge: Bridge, folder: Path) -> None:
    """Write `bridge` to `folder`, which appears whole or keeps its old content."""
    join = bridge.join
    with whole_folder(folder) as beside:
        write_tensors(beside / TENSORS, join.tensors, {})
        manifest = {
            "version": VERSION,
            "kind": type(join).__name__,
            "settings": join.settings,
            "how": bridge.how,
            "scale": bridge.scale,
            "fingerprint": bridge.fingerprint,
            "join": join.fingerprint,
            "image": {"name": bridge.image.name, "fingerprint": bridge.image.fingerprint},
            "text": {"name": bridge.text.name, "fingerprint": bridge.text.fingerprint},
        }
        write_json(beside / MANIFEST, manifest)


def saved_towers(folder: Path) -> tuple[str, str]:
    """The names of the image backbone and of the sentence encoder that `folder` joins."""
    manifest = _manifest(folder)
    return manifest["image"]["name"], manifest["text"]["name"]


def load_bridge(folder: Path, pretrained: bool = True) -> Bridge:
    """Open `folder`; see `Bridge.load`."""
    manifest = _manifest(folder)
    join = _join(folder, manifest)
    image, text = manifest["image"], manifest["text"]
    image_side, text_side = image_half(image["name"], pretrained), text_half(text["name"], pretrained)
    mark = manifest["fingerprint"]
    if not pretrained:
        mark = fingerprint(mark, image_side.fingerprint, text_side.fingerprint)  # not the bridge that was saved
    else:
        _check(folder, image_side, image["fingerprint"])
        _check(folder, text_side, text["fingerprint"])
    return Bridge(join, manifest["how"], manifest["scale"], image_side, text_side, mark)


def _check(folder: Path, half: ImageHalf | TextHalf, wanted: str) -> None:
    if half.fingerprint != wanted:
        raise FingerprintMismatch(
            f"{folder} was fitted with {half.name} of fingerprint {wanted}, found {half.fingerprint}; install the "
            "weights it had, or fit it again"
        )


def _join(folder: Path, manifest: dict[str, Any]) -> Join:
    try:
        join = _JOINS[manifest["kind"]](**load_file(folder / TENSORS), **manifest["settings"])
    except Exception as error:  # safetensors and Python each have their own
        raise UnreadableFile(f"{folder} is damaged ({error}); fit the bridge again") from error
    if join.fingerprint != manifest["join"]:
        raise UnreadableFile(f"{folder} is damaged: {TENSORS} is not the file it was saved with; fit the bridge again")
    return join


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).is_file():
        raise UnreadableFile(f"{folder} is not a saved bridge: it has no {MANIFEST}")
    manifest = read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("version"), int):
        raise UnreadableFile(f"{folder / MANIFEST} is not the manifest of a bridge")
    if manifest["version"] > VERSION:
        raise UnreadableFile(
            f"{folder} is of version {manifest['version']}, this fewshot reads up to {VERSION}: upgrade it"
        )
    if missing := sorted(_ENTRIES - manifest.keys()):
        raise UnreadableFile(f"{folder} is damaged: {MANIFEST} has no {missing[0]!r}; fit the bridge again")
    return manifest
