"""What a source hands over for one model: the module, its weights and the way to prepare an image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from PIL import Image
from torch import Tensor, nn

from fewshot.backbones.layers import pool_maps


@dataclass(frozen=True)
class Preprocessing:
    """From a PIL image to a float32 tensor (C, H, W), as the weights were trained; picklable, so workers can decode.

    `settings` says in JSON what `transform` does (size, resize, interpolation, mean, std) and is part of the
    fingerprint. `image_size` is the side of the square in pixels, `channels` are 3, or 1 for shades of grey.
    """

    transform: Callable[[Image.Image], Tensor]
    image_size: int
    settings: dict[str, Any]
    channels: int = 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a prepared image."""
        return self.channels, self.image_size, self.image_size

    def __call__(self, image: Image.Image) -> Tensor:
        """Prepare one image of any mode; it is converted to RGB."""
        return self.transform(image.convert("RGB"))


@runtime_checkable
class TakesVectors(Protocol):
    """The module of a text tower that reads the vectors of tokens as well as words, as prompts that are learned need.

    `encode(embed(tokens), positions(tokens))` is what the module gives for these tokens.
    """

    @property
    def width(self) -> int:
        """The number of values of the vector of a token."""

    def embed(self, tokens: Tensor) -> Tensor:
        """The vectors (B, L, width) of token ids (B, L), without what their places add."""

    def positions(self, tokens: Tensor) -> Tensor:
        """One place (B,) of each text that `encode` must know: the one whose output is taken, or that of its end."""

    def encode(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """From vectors (B, L, width) and positions (B,) to texts (B, D); gradients reach the vectors."""


@dataclass
class TextTower:
    """The text half of a model, or a sentence encoder.

    `module` maps token ids (B, L) to vectors (B, D), on the CPU. `tokenize` gives the ids (N, L) of N texts, int64 and
    padded at the end, and how many texts were too long for `context_length` and lost their end. `settings` says in
    JSON how texts are prepared and is part of the fingerprint. `scale` and `bias` make logits of cosines. `lengths`
    tells for each row of ids how many of them `module` needs to give the same vector; None where it needs all.
    """

    module: nn.Module
    tokenize: Callable[[Sequence[str]], tuple[Tensor, int]]
    context_length: int
    settings: dict[str, Any]
    weights: str
    scale: float = 1.0
    bias: float = 0.0
    lengths: Callable[[Tensor], Tensor] | None = None


@dataclass
class Network:
    """A model that gives features, and all that travels with it.

    `module` maps images (B, 3, H, W) to features (B, D), float32, on the CPU, without its classifier. `weights` says
    where they come from, `architecture` is the name without the choice of weights (by default the name asked for).
    `head` is the classifier taken off (features to logits) where it is a single layer, and `unused` are the prefixes
    of the checkpoint keys that `module` does without, such as those of the classifier.
    `joint` is the whole image-text model if there is one, and `text` makes its text half, in the space of the features,
    once the weights are loaded. `adapt` gives a checkpoint (its tensors and its path) the names of the model's tensors,
    and raises `InvalidInput` for one that is known to go with another model. `projection` (E, D) is the last linear map
    of `module` where it ends with one without a bias, and `before_projection` gives the features (B, E) that go into
    it. `pool` turns the output of one layer into (B, C); `intermediates` names the maps of a module that has timm's
    `forward_intermediates`.
    """

    module: nn.Module
    preprocess: Preprocessing
    weights: str
    architecture: str = ""
    head: nn.Module | None = None
    unused: tuple[str, ...] = ()
    joint: nn.Module | None = None
    text: Callable[[], TextTower] | None = None
    adapt: Callable[[dict[str, Tensor], Path], dict[str, Tensor]] | None = None
    projection: Tensor | None = None
    before_projection: nn.Module | None = None
    pool: Callable[[Tensor], Tensor] = pool_maps
    intermediates: tuple[str, ...] | None = None
