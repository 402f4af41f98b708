"""Picture files to RGB pictures, in one way for every source.

EXIF orientation is obeyed, transparency is laid on white, 16-bit grey is scaled to 8 bits (65535 is white), and
palette, CMYK and all other modes become RGB as Pillow converts them.
"""

import struct
import zlib
from io import BytesIO
from typing import BinaryIO

from PIL import Image, ImageOps

from fewshot.errors import BrokenImages

# what Pillow raises for files that are cut short, garbled or not pictures at all
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def decode(content: bytes, name: str, dataset: str) -> Image.Image:
    """The picture in `content` as RGB; raises `BrokenImages` naming `name` where it cannot be read whole."""
    try:
        with Image.open(BytesIO(content)) as picture:
            return to_rgb(ImageOps.exif_transpose(picture))
    except _BROKEN:
        raise BrokenImages(dataset, [name]) from None


def has_picture_header(file: BinaryIO) -> bool:
    """Whether Pillow knows the format and reads the header; the pixels are not decoded."""
    try:
        with Image.open(file):
            return True
    except _BROKEN:
        return False


def to_rgb(picture: Image.Image) -> Image.Image:
    """`picture` as 8-bit RGB, by the rules at the head of this file."""
    if picture.mode == "RGB" and "transparency" not in picture.info:
        picture.load()
        return picture
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    if picture.mode.startswith("I"):
        # point() on 16-bit modes needs the wide mode "I" first
        return picture.convert("I").point(lambda value: value / 257 + 0.5).convert("L").convert("RGB")
    return picture.convert("RGB")
