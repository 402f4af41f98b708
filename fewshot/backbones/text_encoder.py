"""Texts to vectors: the text half of an image-text backbone, or a sentence encoder by itself."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones.devices import PRECISIONS
from fewshot.backbones.network import TextTower
from fewshot.errors import FewshotError, FewshotWarning, InvalidInput
from fewshot.progress import progress_bar


class TextEncoder:
    """Texts to vectors (N, dim), float32, on `device`; they have the length that the network gives them.

    Made by [`create_text_encoder`][fewshot.backbones.create_text_encoder], or found as `Backbone.text` where a backbone
    has a text tower; all who ask for the same share one instance. With vectors t and image features f divided by their
    lengths, the logit of a text is `scale` f·t + `bias`: 100 and 0 for CLIP, 1 and 0 for a sentence encoder.
    `fingerprint` names what the vectors depend on: architecture, content of the weights, tokenizer and precision.
    Only one thread at a time may call it.
    """

    def __init__(self, name: str, tower: TextTower, device: torch.device, precision: str, fingerprint: str) -> None:
        self.name, self.device, self.precision, self.fingerprint = name, device, precision, fingerprint
        self.weights, self.scale, self.bias = tower.weights, tower.scale, tower.bias
        self.context_length, self.settings = tower.context_length, tower.settings
        self.parameters = sum(parameter.numel() for parameter in tower.module.parameters())
        self._tokenize, self._lengths = tower.tokenize, tower.lengths
        self._module: nn.Module | None = tower.module.to(device).eval().requires_grad_(False)

    @torch.no_grad()  # not inference_mode: its tensors can take no part in later training
    def __call__(self, texts: Sequence[str], batch_size: int = 256, progress: bool = False) -> Tensor:
        """The vectors (N, dim) of N texts, in float32 on `device`; equal texts are encoded once.

        Texts are taken in order of length, and batches cut to their longest text wherever this leaves the vectors
        equal. `progress` shows a bar. Raises `InvalidInput` for anything but a sequence of strings, and if vectors come
        out as NaN or infinite; warns where a text is longer than `context_length` tokens and loses its end.
        """
        texts = _checked(texts)
        if not texts:
            return torch.empty(0, self.dim, device=self.device)
        place = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        tokens = self.tokenize(list(place))
        lengths = self.lengths(tokens)
        vectors = torch.empty(len(tokens), self.dim, device=self.device)
        with progress_bar(f"texts by {self.name}", len(tokens), show=progress) as advance:
            for rows in lengths.argsort(descending=True).split(batch_size):  # the longest first: the most memory
                vectors[rows.to(self.device)] = self._forward(tokens[rows, : int(lengths[rows].max())])
                advance(len(rows))
        if not vectors.isfinite().all():
            raise InvalidInput(f"{self.name} gives NaN or infinite vectors in {self.precision}; try 'float32'")
        return vectors[torch.tensor([place[text] for text in texts], device=self.device)]

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids (N, L), int64, on the CPU, padded at the end; too long texts lose their end, with a warning."""
        tokens, cut = self._tokenize(_checked(texts))
        if cut:
            warnings.warn(
                f"{cut} of {len(texts)} texts are longer than the {self.context_length} tokens that {self.name} reads; "
                "what comes after is left out",
                FewshotWarning,
                stacklevel=2,
            )
        return tokens

    def lengths(self, tokens: Tensor) -> Tensor:
        """How many of the ids (N, L) of each text count (N,): cutting those after them leaves its vector equal."""
        return self._lengths(tokens) if self._lengths else torch.full((len(tokens),), tokens.shape[1])

    @cached_property
    def dim(self) -> int:
        """The number of values of a vector."""
        with torch.no_grad():
            return self._forward(torch.zeros(1, self.context_length, dtype=torch.int64)).shape[1]

    @property
    def module(self) -> nn.Module:
        """The network itself, token ids (B, L) to vectors (B, dim); raises `FewshotError` once it was released."""
        if self._module is None:
            raise FewshotError(f"the text encoder {self.name} was released; call create_text_encoder again")
        return self._module

    @property
    def memory(self) -> int:
        """The bytes that weights and buffers take."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def describe(self) -> dict[str, Any]:
        """What a report says of it, ready for JSON."""
        return {
            "name": self.name,
            "source": self.name.split(":")[0],
            "weights": self.weights,
            "parameters": self.parameters,
            "dim": self.dim,
            "context_length": self.context_length,
            "tokenizer": self.settings,
            "scale": self.scale,
            "bias": self.bias,
            "precision": self.precision,
            "device": str(self.device),
            "fingerprint": self.fingerprint,
        }

    @property
    def released(self) -> bool:
        """Whether the weights were freed."""
        return self._module is None

    def release(self) -> None:
        """Free the weights; the instance can't be called any more, and the next `create_text_encoder` loads anew."""
        self._module = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def __repr__(self) -> str:
        return f"TextEncoder({self.name!r}, device={str(self.device)!r}, precision={self.precision!r})"

    def _forward(self, tokens: Tensor) -> Tensor:
        lower = self.precision != "float32"
        with torch.autocast(self.device.type, dtype=PRECISIONS[self.precision], enabled=lower):
            return self.module(tokens.to(self.device)).float()


def _checked(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise InvalidInput(f"texts are a list of strings, found one string {texts[:40]!r}; put it into a list")
    texts = list(texts)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"texts must be strings; number {number} is {text!r} ({type(text).__name__})")
    return texts
