"""The images of a data set as bytes: on the device, where a batch of tasks is one gather, or decoded when needed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.embeddings.decoding import decoded_batches, worker_count
from fewshot.errors import BrokenImages, FewshotWarning, InvalidInput, UnwritableFile
from fewshot.files import cache_folder, write_tensors
from fewshot.fingerprint import fingerprint
from fewshot.learners.memory import free_memory
from fewshot.progress import progress_bar

if TYPE_CHECKING:
    from fewshot.backbones import Preprocessing
    from fewshot.datasets import Dataset

_BATCH = 256
_NOT_A_BYTE = 0.05  # how far a prepared pixel may lie from a whole number: rounding, but no interpolation


@dataclass(frozen=True)
class ByteScale:
    """The change between bytes 0..255 and the numbers that a backbone takes: (byte / 255 - mean) / std a channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, preprocess: Preprocessing) -> ByteScale:
        """As the settings of the preprocessing say; raises `InvalidInput` where they have no mean and std."""
        try:
            return cls(tuple(preprocess.settings["mean"]), tuple(preprocess.settings["std"]))
        except KeyError:
            raise InvalidInput(
                "training keeps images as bytes, which needs a preprocessing with mean and std in its settings; "
                f"this one has {', '.join(preprocess.settings) or 'none'}"
            ) from None

    def to_bytes(self, images: Tensor) -> Tensor:
        """Prepared images (B, C, H, W) as uint8; raises `InvalidInput` where they were no bytes before."""
        values = (images * self._channels(self.std, images) + self._channels(self.mean, images)) * 255
        rounded = values.round()
        if (values - rounded).abs().max() > _NOT_A_BYTE or rounded.min() < 0 or rounded.max() > 255:
            raise InvalidInput("the preprocessing gives pixels that are no bytes scaled by its mean and std")
        return rounded.to(torch.uint8)

    def to_floats(self, pixels: Tensor) -> Tensor:
        """Bytes or floats 0..255 (..., C, H, W) as the backbone takes them, float32."""
        scale = 255 * self._channels(self.std, pixels)
        return (pixels.float() - 255 * self._channels(self.mean, pixels)).div_(scale)

    @staticmethod
    def _channels(values: Sequence[float], images: Tensor) -> Tensor:
        return torch.tensor(values, device=images.device, dtype=torch.float32)[:, None, None]


@dataclass(frozen=True)
class ImageBank:
    """The images of a data set, uint8 (N, C, H, W), prepared up to the normalisation.

    Item numbers from N on are turned images: r * N + i is item i turned by r quarters, as `rotations` of the training
    settings makes new classes of them.
    """

    pixels: Tensor
    scale: ByteScale

    @classmethod
    def load(
        cls,
        dataset: Dataset,
        preprocess: Preprocessing,
        device: torch.device,
        cache: bool = True,
        progress: bool = True,
    ) -> ImageBank:
        """Decode and prepare every image once; with `cache` the bytes are kept for the next time.

        Raises `BrokenImages` for images that cannot be decoded, and `InvalidInput` for a preprocessing whose result
        is no bytes.
        """
        scale = ByteScale.of(preprocess)
        kept = cache_folder() / "images" / f"{fingerprint(dataset.fingerprint, preprocess.settings)}.safetensors"
        pixels = _read(kept) if cache else None
        if pixels is None:
            pixels = _decode(dataset, preprocess, scale, progress)
            if cache:
                _write(pixels, kept)
        return cls(pixels.to(device), scale)

    def __len__(self) -> int:
        return len(self.pixels)

    def gather(self, items: Tensor) -> Tensor:
        """Bytes (..., C, H, W) of item numbers (...), on the device of the bank."""
        flat = items.flatten()
        rows = (flat % len(self)).to(self.pixels.device)
        return turned(self.pixels[rows], flat // len(self)).unflatten(0, items.shape)


@dataclass(frozen=True)
class DecodedImages:
    """The same of images too many for the memory: decoded and prepared each time they are asked for."""

    dataset: Dataset
    preprocess: Preprocessing
    scale: ByteScale

    def __len__(self) -> int:
        return len(self.dataset)

    def gather(self, items: Tensor) -> Tensor:
        """Bytes (..., C, H, W) of item numbers (...), on the CPU."""
        flat = items.flatten()
        rows = (flat % len(self)).tolist()
        images = torch.stack([self.preprocess(self.dataset.images[row]) for row in rows])
        return turned(self.scale.to_bytes(images), flat // len(self)).unflatten(0, items.shape)


def open_images(
    dataset: Dataset, preprocess: Preprocessing, device: torch.device, progress: bool = True, workers: int = 0
) -> ImageBank | DecodedImages:
    """An `ImageBank` where its bytes take at most half of the free memory of the device, else `DecodedImages`.

    The latter is told by a `FewshotWarning`; workers: the processes that are then going to decode ahead, 0 for none.
    """
    free, needed = free_memory(device), len(dataset) * math.prod(preprocess.shape)
    if free is None or needed <= free / 2:
        return ImageBank.load(dataset, preprocess, device, progress=progress)
    ahead = f"ahead by {workers} worker process{'' if workers == 1 else 'es'}"
    warnings.warn(
        f"the {len(dataset)} images of {dataset.name} ({dataset.split}) take {needed / 1e6:,.1f} MB on {device}, more "
        f"than half of the {free / 1e6:,.1f} MB free there; they are decoded "
        + (ahead if workers else "each time they are asked for"),
        FewshotWarning,
        stacklevel=2,
    )
    return DecodedImages(dataset, preprocess, ByteScale.of(preprocess))


def turned(images: Tensor, quarters: Tensor) -> Tensor:
    """Square images (B, C, H, W), each turned in place by its number of quarter turns (B,), which is on the CPU."""
    for count in range(1, 4):
        chosen = (quarters == count).nonzero().squeeze(1).to(images.device)
        if len(chosen):
            images[chosen] = images[chosen].rot90(count, (-2, -1))
    return images


def _decode(dataset: Dataset, preprocess: Preprocessing, scale: ByteScale, progress: bool) -> Tensor:
    pixels = torch.empty(len(dataset), *preprocess.shape, dtype=torch.uint8)
    workers = worker_count(len(dataset), _BATCH)
    broken: list[str] = []
    with progress_bar(f"reading {dataset.name}", len(dataset), show=progress) as advance:
        for batch in decoded_batches(dataset.images, preprocess, _BATCH, workers):
            broken += [dataset.ids[row] for row in batch.broken]
            if len(batch.rows):
                pixels[batch.rows] = scale.to_bytes(batch.images)
            advance(len(batch.rows))
    if broken:
        raise BrokenImages(dataset.name, broken, hint="load the data set with skip_broken=True to leave them out")
    return pixels


def _read(path: Path) -> Tensor | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)["pixels"]
    except (OSError, SafetensorError, KeyError):
        return None


def _write(pixels: Tensor, path: Path) -> None:
    try:
        write_tensors(path, {"pixels": pixels}, {})
    except UnwritableFile as error:
        warnings.warn(f"the prepared images are not kept for the next time: {error}", FewshotWarning, stacklevel=2)
