"""Prompts with learned words: vectors that stand before the name of a class, in place of "a photo of a"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, normalize

from fewshot.errors import FewshotError, FingerprintMismatch, InvalidInput
from fewshot.learners.features import l2_normalize
from fewshot.learners.precision import Precision
from fewshot.learners.support import Support
from fewshot.learners.words import Words

if TYPE_CHECKING:
    from fewshot.backbones import TakesVectors, TextEncoder

_MOMENTUM, _DECAY, _WARMUP = 0.9, 5e-4, 1e-5  # of Zhou et al. (2022): the rate of the first epoch is the last of these
_PLACEHOLDERS = ("X", "Y")
_KEPT = 16
_encoders: dict[str, TextEncoder] = {}  # the last ones that heads refer to, by fingerprint


@dataclass(frozen=True)
class Prompts:
    """Prompts of W classes as vectors of tokens (W, L, width), which have room for `context` from `first` on.

    `tower` is the text tower's module, and `ends` (W,) are what it calls the positions of the texts.
    """

    tower: TakesVectors
    vectors: Tensor
    ends: Tensor
    first: int

    def encode(self, context: Tensor, precision: Precision = "float32") -> Tensor:
        """The text vectors (..., W, D), of length 1, of prompts with the context (..., M, width).

        precision: "bfloat16" computes the products of the text tower in it.
        """
        shape = (*context.shape[:-2], *self.vectors.shape)
        context = context.unsqueeze(-3).expand(*shape[:-2], *context.shape[-2:])
        vectors = self.vectors.expand(shape)
        after = self.first + context.shape[-2]
        whole = torch.cat([vectors[..., : self.first, :], context, vectors[..., after:, :]], -2)
        ends = self.ends.expand(shape[:-2])
        with _products_in(precision, whole.device):
            texts = self.tower.encode(whole.flatten(0, -3), ends.flatten())
        return normalize(texts.to(whole.dtype).unflatten(0, shape[:-2]), dim=-1)


def write_prompts(encoder: TextEncoder, names: list[str], context: int, learner: str) -> Prompts:
    """The prompts "X X … NAME." with `context` placeholders, as vectors of the encoder's tokens.

    Raises `InvalidInput` for an encoder that takes words only, one that makes several tokens of a placeholder, or one
    with too few tokens.
    """
    tower, first = tower_of(encoder, learner), _first_word(encoder, learner)
    if first + context + 2 > encoder.context_length:  # a name and its end take two at least
        raise InvalidInput(
            f"{learner}: {context} words of context and a class name do not fit into the {encoder.context_length} "
            f"tokens of {encoder.name}; pass a smaller context"
        )
    before = f"{_PLACEHOLDERS[0]} " * context
    tokens = encoder.tokenize([f"{before}{name}." for name in names])
    lengths = encoder.lengths(tokens)
    tokens = tokens[:, : int(lengths.max())].to(encoder.device)
    with torch.no_grad():
        return Prompts(tower, tower.embed(tokens), tower.positions(tokens), first)


def word_vectors(encoder: TextEncoder, text: str, learner: str) -> Tensor:
    """The vectors (M, width) of the M tokens of a text, mostly one a word."""
    tower, first = tower_of(encoder, learner), _first_word(encoder, learner)
    tokens = encoder.tokenize([f"{text} {word}" for word in _PLACEHOLDERS])
    with torch.no_grad():
        return tower.embed(tokens[:1].to(encoder.device))[0, first : _first_difference(tokens)].float()


def tower_of(encoder: TextEncoder, learner: str) -> TakesVectors:
    """The tower's module; raises `InvalidInput` for one that takes words only."""
    from fewshot.backbones import TakesVectors

    module = encoder.module
    if not isinstance(module, TakesVectors):
        raise InvalidInput(
            f"{learner} learns prompts as vectors, and {encoder.name} takes nothing but words; use the text tower of a "
            "CLIP or SigLIP model, a sentence encoder or a bridge"
        )
    return module


def names_of_tasks(support: Support, learner: str) -> list[list[str]]:
    """The names of the classes that each task has."""
    words = support.words
    assert words is not None
    if not words.names:
        raise InvalidInput(f"{learner} writes prompts with the class names: make the words with names=")
    rows = [range(support.ways)] * len(support.labels) if words.classes is None else words.classes.tolist()
    ways = support.present.sum(1).tolist()
    return [[words.names[each] for each in row[:count]] for row, count in zip(rows, ways, strict=True)]


def items_of(support: Support, task: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The features (S, D) of one task, of length 1 and of the type and device of `like`, and their labels (S,)."""
    real = support.labels[task] >= 0
    return l2_normalize(support.features[task][real].to(like)), support.labels[task][real].to(like.device)


def first_context(encoder: TextEncoder, template: str, count: int, seed: int, learner: str) -> Tensor:
    """Vectors (M, width) to start from: those of a template's words, or `count` drawn with deviation 0.02."""
    if template:
        return word_vectors(encoder, template, learner).requires_grad_()
    draw = torch.Generator().manual_seed(seed)
    width = tower_of(encoder, learner).width
    return (0.02 * torch.randn(count, width, generator=draw)).to(encoder.device).requires_grad_()


def minibatches(features: Tensor, batch: int, epochs: int, seed: int) -> Iterator[tuple[int, Tensor]]:
    """The epoch and the items, by number, of each step; in whatever order the features (S, D) are given."""
    key = features.double() @ torch.linspace(1, 2, features.shape[1], dtype=torch.float64, device=features.device).sin()
    order = key.argsort().cpu()
    draw = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        for items in order[torch.randperm(len(order), generator=draw)].split(batch):
            yield epoch, items.to(features.device)


def descend(
    loss: Any, parameters: list[Tensor], steps: Iterator[tuple[int, Tensor]], rate: float, epochs: int
) -> list[Tensor]:
    """The parameters after SGD on `loss(items)`: momentum 0.9, weight decay 5e-4, a cosine after one slow epoch."""
    optimizer = torch.optim.SGD(parameters, lr=rate, momentum=_MOMENTUM, weight_decay=_DECAY)
    for epoch, items in steps:
        optimizer.param_groups[0]["lr"] = _WARMUP if epoch == 0 else rate * (1 + cos(pi * epoch / epochs)) / 2
        optimizer.zero_grad()
        loss(items).backward()
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def prompt_loss(texts: Tensor, features: Tensor, labels: Tensor, words: Words) -> Tensor:
    """The mean log loss of features (B, D) of length 1 with labels (B,), given text vectors (W, D) or (B, W, D)."""
    cosines = (texts @ features[..., None])[..., 0] if texts.ndim == 3 else features @ texts.mT
    return cross_entropy(words.scale * cosines + words.bias, labels)


def mark(encoder: TextEncoder) -> Tensor:
    """The encoder's fingerprint as a tensor, which a head can keep."""
    return torch.tensor(list(encoder.fingerprint.encode()), dtype=torch.uint8)


def check_encoder(mark: Tensor, classes: Support, learner: str) -> None:
    """Raise `FingerprintMismatch` where the words of `classes` are of another text tower than the mark says."""
    assert classes.words is not None
    assert classes.words.encoder is not None
    learned, found = _read(mark), classes.words.encoder
    if found.fingerprint != learned:
        raise FingerprintMismatch(
            f"{learner} learned words for the text encoder {learned}, and these classes come with {found.name} "
            f"({found.fingerprint}); make their words with the same"
        )


def remember(encoder: TextEncoder) -> Tensor:
    """The encoder's mark, by which `recall` finds it while it is in memory."""
    _encoders.pop(encoder.fingerprint, None)
    _encoders[encoder.fingerprint] = encoder
    for fingerprint in list(_encoders)[:-_KEPT]:
        del _encoders[fingerprint]
    return mark(encoder)


def recall(mark: Tensor, learner: str) -> TextEncoder:
    """The encoder of that fingerprint; raises `FewshotError` if it isn't in memory."""
    from fewshot.backbones import loaded_text_encoders

    fingerprint = _read(mark)
    for encoder in (*loaded_text_encoders(), *_encoders.values()):
        if encoder.fingerprint == fingerprint and not encoder.released:
            return encoder
    raise FewshotError(
        f"{learner} writes a prompt for every image, for which it needs the text encoder {fingerprint}, and that is "
        "not in memory; load it with create_text_encoder"
    )


def _read(mark: Tensor) -> str:
    return bytes(mark.tolist()).decode()


@contextmanager
def _products_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Matrix products in this precision; attention of bfloat16 is written out, as torch's fused one is slow backwards.

    It takes 147 of 318 ms for 20 prompts of 20 tokens through MiniLM on one core; written out 11 of 159, and 259 ms in
    float32.
    """
    if precision == "float32":
        yield
    else:
        with torch.autocast(device.type, torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            yield


def _first_word(encoder: TextEncoder, learner: str) -> int:
    """The position of the first word, after the tokens of start; raises `InvalidInput` where a word isn't one token."""
    one, other = _PLACEHOLDERS
    first = _first_difference(encoder.tokenize([f"{one} {one}", f"{other} {one}"]))
    if _first_difference(encoder.tokenize([f"{one} {one}", f"{one} {other}"])) != first + 1:
        raise InvalidInput(
            f"{learner} puts learned vectors in the place of words, and the tokenizer of {encoder.name} does not make "
            f"one token of each word {one!r}; use another text encoder"
        )
    return first


def _first_difference(tokens: Tensor) -> int:
    """Where the ids (2, L) of two texts first differ; L if nowhere."""
    return int((tokens[0] == tokens[1]).int().cumprod(0).sum())
