"""Glyphs drawn from the fonts that matplotlib ships: a character is a class, a font is its drawer."""

import unicodedata
from collections import Counter
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageFont

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.images import Images
from fewshot.errors import InvalidInput

# Text faces only: matplotlib's cm* fonts map code points to other characters, STIXSiz* and STIXNonUni* hold parts of
# formulas, the Display cuts repeat the plain ones, and LastResort draws the same box for a whole alphabet.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
)
LETTERS_AND_DIGITS = {"Lu", "Ll", "Lo", "Nd"}  # Unicode categories

INFO = DatasetInfo(
    summary="letters and digits in 16 fonts; a character is a class, a font a drawer",
    classes=1185,
    items=16150,
    source="DejaVu and STIX fonts in matplotlib, drawn by Pillow",
    licence="Bitstream Vera licence (DejaVu), STIX font licence",
)


@register_dataset("glyphs", INFO)
def glyphs(min_fonts: int = 12, size: int = 64) -> Dataset:
    """Letters and digits that at least `min_fonts` of the 16 fonts draw, each differently; `size` x `size` pixels.

    Black on white, the ink centred. Left out: blank drawings, drawings that two fonts share, and characters that look
    in some font exactly like an earlier one (Greek capital alpha is drawn as Latin A). Groups: "font", and "alphabet"
    (LATIN, GREEK, CYRILLIC, ...).
    """
    if not 1 <= min_fonts <= len(FONTS):
        raise InvalidInput(f"min_fonts must be from 1 to {len(FONTS)}, the fonts there are; found {min_fonts}")
    if size < 8:
        raise InvalidInput(f"size must be at least 8 pixels; found {size}")
    drawn = _distinct_drawings(min_fonts, size)
    items = [(char, font, digest) for char, fonts in drawn.items() for digest, font in fonts.items()]
    class_of = {char: index for index, char in enumerate(drawn)}
    return Dataset(
        name="glyphs",
        images=GlyphImages([(char, font) for char, font, _ in items], [digest for _, _, digest in items], size),
        labels=torch.tensor([class_of[char] for char, _, _ in items], dtype=torch.int64),
        class_names=tuple(unicodedata.name(char) for char in drawn),
        ids=tuple(f"U+{ord(char):04X}/{font}" for char, font, _ in items),
        groups={
            "font": Grouping.of([font for _, font, _ in items]),
            "alphabet": Grouping.of([_alphabet(char) for char, _, _ in items]),
        },
    )


class GlyphImages(Images):
    """Characters drawn when asked for: `glyphs` are pairs of character and font name."""

    quick_digests = True

    def __init__(self, glyphs: list[tuple[str, str]], digests: list[str], size: int) -> None:
        self.glyphs = glyphs
        self.size = size
        self._digests = digests

    def __len__(self) -> int:
        return len(self.glyphs)

    def __getitem__(self, index: int) -> Image.Image:
        char, font = self.glyphs[index]
        ink = _ink(char, font, self.size)
        ink.thumbnail((self.size - 2, self.size - 2))
        picture = Image.new("L", (self.size, self.size), 255)
        corner = ((self.size - ink.width) // 2, (self.size - ink.height) // 2)
        picture.paste(0, corner, ink)
        return picture.convert("RGB")

    def digest(self, index: int) -> str:
        """A hash of the drawing."""
        return self._digests[index]

    def describe(self) -> dict[str, Any]:
        """Kind, number and size (height, width)."""
        return {"source": "matplotlib fonts", "images": len(self), "size": [self.size, self.size]}


def _distinct_drawings(min_fonts: int, size: int) -> dict[str, dict[str, str]]:
    """{character: {digest: font}} of the characters kept, in Unicode order."""
    characters = {font: _characters(font) for font in FONTS}
    counts = Counter(char for chars in characters.values() for char in chars)
    owner: dict[str, str] = {}
    drawn = {}
    for char in sorted(char for char, count in counts.items() if count >= min_fonts):
        fonts: dict[str, str] = {}
        for font in FONTS:
            if char in characters[font] and (digest := _digest(_ink(char, font, size))):
                fonts.setdefault(digest, font)
        looks_like_another = any(digest in owner for digest in fonts)
        if not looks_like_another:
            owner.update(dict.fromkeys(fonts, char))
            if len(fonts) >= min_fonts:
                drawn[char] = fonts
    return drawn


def _characters(font: str) -> set[str]:
    from matplotlib.ft2font import FT2Font

    mapped = FT2Font(str(_font_folder() / f"{font}.ttf")).get_charmap()
    return {char for char in map(chr, mapped) if unicodedata.category(char) in LETTERS_AND_DIGITS and _is_itself(char)}


def _is_itself(char: str) -> bool:
    """False for ligatures and signs that Unicode has only as stand-ins for other letters, such as the micro sign."""
    return unicodedata.normalize("NFKC", char) == char


def _ink(char: str, font: str, size: int) -> Image.Image:
    """The drawing cut to its ink, 255 is full ink."""
    core = _font(font, round(0.69 * size)).getmask(char, mode="L")
    if not core.size[0] or not core.size[1]:
        return Image.new("L", (1, 1), 0)
    ink = Image.frombytes("L", core.size, bytes(core))
    return ink.crop(ink.getbbox() or (0, 0, 1, 1))


def _digest(ink: Image.Image) -> str:
    """A hash of the drawing, empty for a blank one."""
    if ink.getextrema()[1] == 0:
        return ""
    return blake2b(f"{ink.size}".encode() + ink.tobytes(), digest_size=16).hexdigest()


@cache
def _font(name: str, points: int) -> ImageFont.FreeTypeFont:
    path = _font_folder() / f"{name}.ttf"
    return ImageFont.truetype(str(path), points, layout_engine=ImageFont.Layout.BASIC)


@cache
def _font_folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def _alphabet(char: str) -> str:
    return unicodedata.name(char).split()[0]
