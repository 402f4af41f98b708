"""Pictures held as arrays: plain 8-bit ones, and black-and-white ones at one bit a pixel."""

from hashlib import blake2b
from typing import Any

import numpy as np
from PIL import Image

from fewshot.datasets.images import Images
from fewshot.errors import InvalidInput


class ArrayImages(Images):
    """Pictures from one uint8 array, (N, H, W) grey or (N, H, W, 3) RGB; 255 is white."""

    quick_digests = True

    def __init__(self, pixels: np.ndarray) -> None:
        if pixels.dtype != np.uint8 or not (pixels.ndim == 3 or (pixels.ndim == 4 and pixels.shape[3] == 3)):
            raise InvalidInput(
                f"pictures must be uint8 of shape (N, H, W) or (N, H, W, 3), not {pixels.dtype} of shape {pixels.shape}"
            )
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index]).convert("RGB")

    def digest(self, index: int) -> str:
        """A hash of the pixels."""
        return blake2b(self.pixels[index].tobytes(), digest_size=16).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Kind, number and size (height, width)."""
        return {"source": "array", "images": len(self), "size": list(self.pixels.shape[1:3])}


class PackedImages(Images):
    """Black ink on white at one bit a pixel: `packed` (N, ceil(H*W/8)) uint8 as `np.packbits` makes it, 1 is ink.

    A picture is unpacked when it is asked for, so that tens of thousands take a few tens of megabytes.
    """

    quick_digests = True

    def __init__(self, packed: np.ndarray, size: tuple[int, int]) -> None:
        if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != -(-size[0] * size[1] // 8):
            raise InvalidInput(
                f"pictures of {size[0]} x {size[1]} bits must be packed in {-(-size[0] * size[1] // 8)} uint8 a row; "
                f"found {packed.dtype} of shape {packed.shape}"
            )
        self.packed = packed
        self.size = size

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: int) -> Image.Image:
        height, width = self.size
        ink = np.unpackbits(self.packed[index], count=height * width).reshape(height, width)
        return Image.fromarray(255 - 255 * ink).convert("RGB")

    def digest(self, index: int) -> str:
        """A hash of the pixels."""
        return blake2b(self.packed[index].tobytes(), digest_size=16).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Kind, number and size (height, width)."""
        return {"source": "packed bits", "images": len(self), "size": list(self.size)}
