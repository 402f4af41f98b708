"""A network as a function from images to features, with all that a result must say about it."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.devices import PRECISIONS
from fewshot.backbones.layers import stage_names
from fewshot.backbones.network import Network
from fewshot.backbones.text_encoder import TextEncoder
from fewshot.errors import FewshotError, InvalidInput


class Backbone:
    """Images (B, C, H, W), as `preprocess` makes them, to features (B, dim), float32, on `device`.

    Made by [`create_backbone`][fewshot.backbones.create_backbone], which shares one instance among all who ask for the
    same. `fingerprint` names what the features depend on: architecture, content of the weights, preprocessing,
    precision and layers. `head` maps features to the logits of the pretraining classes where the weights come with
    one, and `joint` is the whole image-text model where the backbone is one half of it. `projection` (E, dim) is the
    last linear map of the image tower where it ends with one: `layers="pre-projection"` gives the features (B, E)
    before it, whose product with it are the features of the whole tower.
    Only one thread at a time may call it.
    """

    def __init__(
        self,
        name: str,
        network: Network,
        module: nn.Module,
        device: torch.device,
        precision: str,
        layers: tuple[str, ...] | None,
        fingerprint: str,
        text: Callable[[], TextEncoder] | None = None,
    ) -> None:
        self.name, self.device, self.precision, self.layers = name, device, precision, layers
        self.fingerprint = fingerprint
        self.preprocess, self.image_size = network.preprocess, network.preprocess.image_size
        self.weights, self.joint = network.weights, network.joint
        self.head = network.head.to(device).requires_grad_(False) if network.head and layers is None else None
        self.projection = None
        if network.projection is not None and layers in (None, ("pre-projection",)):
            self.projection = network.projection.detach().float().to(device)
        self._make_text = text
        self.parameters = sum(parameter.numel() for parameter in network.module.parameters())
        self._layer_names = list(network.intermediates or stage_names(network.module))
        self._module: nn.Module | None = module.to(memory_format=torch.channels_last).to(device).requires_grad_(False)
        self._largest_batch: int | None = None

    @torch.no_grad()  # not inference_mode: its tensors can take no part in later training
    def __call__(self, images: Tensor) -> Tensor:
        """The features (B, dim) of images (B, C, H, W), in float32 on `device`.

        A batch that does not fit into memory is halved until it does. Raises `InvalidInput` for another shape or type,
        or if features come out as NaN or infinite, and `FewshotError` if a single image does not fit.
        """
        channels = self.preprocess.channels
        if images.ndim != 4 or images.shape[1] != channels or not images.is_floating_point():
            raise InvalidInput(
                f"{self.name} takes images (B, {channels}, H, W) of floats, not {tuple(images.shape)} of "
                f"{images.dtype}; make them with backbone.preprocess"
            )
        if len(images) == 0:
            return torch.empty(0, self.dim, device=self.device)
        features = torch.cat([self._halving(part) for part in images.split(self._largest_batch or len(images))])
        if not torch.isfinite(features).all():
            raise self._not_finite(images)
        return features

    @cached_property
    def dim(self) -> int:
        """The number of features of an image."""
        return self(torch.zeros(1, *self.preprocess.shape)).shape[1]

    @cached_property
    def text(self) -> TextEncoder | None:
        """The text tower, in the space of the features; None where there is none, as with layers from inside."""
        return self._make_text() if self._make_text else None

    @property
    def memory(self) -> int:
        """The bytes that weights and buffers take."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @property
    def module(self) -> nn.Module:
        """The network itself, on its device; raises `FewshotError` once it was released."""
        if self._module is None:
            raise FewshotError(f"the backbone {self.name} was released; call create_backbone again")
        return self._module

    def layer_names(self) -> list[str]:
        """The stages that `layers=` takes by index, in the order of computation."""
        return self._layer_names

    def describe(self) -> dict[str, Any]:
        """What a report says of it, ready for JSON."""
        return {
            "name": self.name,
            "source": self.name.split(":")[0],
            "weights": self.weights,
            "parameters": self.parameters,
            "dim": self.dim,
            "image_size": self.image_size,
            "preprocessing": self.preprocess.settings,
            "precision": self.precision,
            "device": str(self.device),
            "layers": None if self.layers is None else list(self.layers),
            "fingerprint": self.fingerprint,
            "text": None if self.text is None else {name: getattr(self.text, name) for name in ("name", "fingerprint")},
        }

    @property
    def released(self) -> bool:
        """Whether the weights were freed."""
        return self._module is None

    def release(self) -> None:
        """Free the weights, those of `text` too; the next `create_backbone` loads anew."""
        if self._make_text and "text" in self.__dict__ and self.text:
            self.text.release()
        self._module = self.head = self.joint = self.projection = self._make_text = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def __repr__(self) -> str:
        return f"Backbone({self.name!r}, device={str(self.device)!r}, precision={self.precision!r})"

    def _halving(self, images: Tensor) -> Tensor:
        try:
            return self._forward(images)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            reason = str(error).strip().splitlines()[0]
        # outside the except clause, so that the failed pass has let go of its tensors
        if len(images) == 1:
            raise FewshotError(
                f"{self.name} runs out of memory on {self.device} with a single image of {images.shape[-1]} pixels "
                f"({self.memory / 1e6:.0f} MB of weights): {reason}; free memory or choose a smaller backbone"
            )
        self._largest_batch = len(images) // 2
        return torch.cat([self._halving(part) for part in images.split(self._largest_batch)])

    def _forward(self, images: Tensor) -> Tensor:
        images = images.to(self.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
        lower = self.precision != "float32"
        with torch.autocast(self.device.type, dtype=PRECISIONS[self.precision], enabled=lower):
            return self.module(images).float()

    def _not_finite(self, images: Tensor) -> InvalidInput:
        if not torch.isfinite(images).all():
            return InvalidInput("the images hold NaN or infinite values; make them with backbone.preprocess")
        return InvalidInput(
            f"{self.name} gives NaN or infinite features in {self.precision}; "
            + ("pass precision='float32'" if self.precision != "float32" else "its weights do not suit these images")
        )


def _is_out_of_memory(error: RuntimeError) -> bool:
    said = ("out of memory", "can't allocate memory", "DefaultCPUAllocator")
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in said)
