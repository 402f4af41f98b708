"""Many prompts of a class made into one vector: a mean, or one weighted by what images say of each template (ZPE)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.features import l2_normalize
from fewshot.progress import progress_bar

if TYPE_CHECKING:
    from fewshot.backbones import TextEncoder

How = Literal["mean", "weighted"] | Sequence[float]
Found = Iterable[tuple[list[int], Tensor]]  # the classes that have an n-th prompt, and its vectors

_TEXTS = 2048  # embedded at once: bounds the memory, and leaves an encoder enough to batch by length


def check_how(prompts: Mapping[str, Sequence[str]], how: How, keep_prompts: bool) -> None:
    """Raise `InvalidInput` for a `how` that does not exist or does not suit the prompts."""
    if isinstance(how, str) and how not in ("mean", "weighted"):
        raise InvalidInput(f"how must be 'mean', 'weighted' or a weight for each prompt, found {how!r}")
    counts = {len(texts): name for name, texts in prompts.items()}
    fewest, most = min(counts), max(counts)
    if fewest < most and (how != "mean" or keep_prompts):
        raise InvalidInput(
            "weights and keep_prompts need as many prompts of each class, found "
            f"{fewest} of {counts[fewest]!r} and {most} of {counts[most]!r}"
        )
    if not isinstance(how, str):
        weights = torch.as_tensor(how, dtype=torch.float64)
        if weights.shape != (most,) or not weights.isfinite().all() or (weights < 0).any() or not weights.any():
            raise InvalidInput(f"weights must be {most} numbers, one a prompt, none below zero and not all zero")


def prompt_vectors(
    text: TextEncoder, prompts: Mapping[str, Sequence[str]], batch_size: int, progress: bool
) -> Iterator[tuple[list[int], Tensor]]:
    """The vectors of the first prompt of every class, then those of the second of every class that has two, and so on.

    All have length 1. Several of these lists are embedded together, up to some 2,000 texts.
    """
    lists = [
        [(row, prompt) for row, prompt in enumerate(each) if prompt is not None]
        for each in zip_longest(*prompts.values())
    ]
    with progress_bar(f"{text.name} · prompts", sum(map(len, lists)), show=progress) as advance:
        group: list[list[tuple[int, str]]] = []
        for place, each in enumerate(lists, 1):
            group.append(each)
            sizes = [len(members) for members in group]
            if sum(sizes) < _TEXTS and place < len(lists):
                continue
            vectors = l2_normalize(text([prompt for members in group for _, prompt in members], batch_size))
            for members, part in zip(group, vectors.split(sizes), strict=True):
                yield [row for row, _ in members], part
            advance(sum(sizes))
            group = []


def mean_of_prompts(found: Found, classes: int, weights: Sequence[float] | None = None) -> Tensor:
    """The mean (W, D) of the prompts of each class, weighted where there is a weight for each."""
    total, mass = torch.zeros(0), torch.zeros(0)
    for place, (rows, vectors) in enumerate(found):
        if place == 0:
            total, mass = vectors.new_zeros(classes, vectors.shape[1]), vectors.new_zeros(classes, 1)
        weight = 1.0 if weights is None else weights[place]
        total[rows] += weight * vectors
        mass[rows] += weight
    return total / mass


def weighted_by_images(found: Found, images: Tensor, reference: Tensor | None = None, scale: float = 100.0) -> Tensor:
    """The mean (W, D) of the templates weighted by the softmax of their scores, without holding them all.

    From Allingham et al. 2023 (ZPE, weighted average); there logits are averaged, here vectors, which is the same up to
    the length of a class's mean.
    """
    total, mass, highest = torch.zeros(0), 0.0, -math.inf
    for _, vectors in found:
        score = prompt_score(vectors, images, reference, scale)
        top = max(highest, score)
        kept, weight = math.exp(highest - top), math.exp(score - top)
        total = weight * vectors + (kept * total if mass else 0)
        mass, highest = weight + kept * mass, top
    return total / mass


def prompt_score(words: Tensor, images: Tensor, reference: Tensor | None = None, scale: float = 100.0) -> float:
    """How well one template suits images: the mean over them of the highest logit, less what is usual for each class.

    words (W, D), the text vectors of the classes in this template; images (N, D), features of what is to be classified;
    reference (M, D), features of images such as the model was trained on; all of length 1, a logit is `scale` times
    their product. Usual for a class is the mean of its mean logits over images and reference; without a reference, that
    over images (Allingham et al. 2023, algorithm 2; "test" in table 3).
    """
    logits = scale * images.to(words) @ words.T
    usual = logits.mean(0)
    if reference is not None:
        usual = (usual + scale * reference.to(words).mean(0) @ words.T) / 2
    return float((logits - usual).amax(1).mean())
