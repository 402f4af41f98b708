"""Two towers joined: which way, fitted on what, and how sharp the probabilities are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from fewshot.backbones.backbone import Backbone
from fewshot.backbones.bridge.asif import fit_asif
from fewshot.backbones.bridge.bridge import Bridge
from fewshot.backbones.bridge.class_words import class_vectors
from fewshot.backbones.bridge.conse import fit_conse
from fewshot.backbones.bridge.contrastive import fit_contrastive
from fewshot.backbones.bridge.devise import fit_devise
from fewshot.backbones.bridge.halves import image_half, text_half
from fewshot.backbones.bridge.join import Join
from fewshot.backbones.bridge.kernel import fit_kernel
from fewshot.backbones.bridge.neighbours import fit_neighbours
from fewshot.backbones.bridge.pairs import Pairs, from_classifier, from_images
from fewshot.backbones.bridge.ridge import fit_ridge
from fewshot.backbones.bridge.settings import check_names
from fewshot.backbones.text_encoder import TextEncoder
from fewshot.errors import InvalidInput, UnknownName
from fewshot.fingerprint import fingerprint

WAYS: dict[str, Callable[..., Join]] = {
    "asif": fit_asif,
    "conse": fit_conse,
    "contrastive": fit_contrastive,
    "devise": fit_devise,
    "kernel": fit_kernel,
    "neighbours": fit_neighbours,
    "ridge": fit_ridge,
}
RECIPE = 1  # grows when the same arguments come to give another join, and is part of the fingerprint
DEFAULT_WAY = "kernel"  # the best of them, and it keeps the image features


def fit_bridge(
    image: str | Backbone,
    text: str | TextEncoder,
    how: str | None = None,
    pairs: tuple[Tensor, Sequence[str]] | None = None,
    pretrained: bool = True,
    **settings: Any,
) -> Bridge:
    """Join an image backbone and a sentence encoder, named or given as they are with the weights of their names.

    how: a way of `WAYS`; None is "kernel". pairs: image features (N, D) by this backbone and
    the text of each; without them the 1,000 ImageNet classes of its classifier are the pairs, and no image is used.
    settings: those of the way. The scale of the logits has the lowest cross-entropy on a fifth of the pairs, when
    the join is fitted on the other four; no other data is looked at.

    Raises `UnknownName` for another way and `InvalidInput` for a backbone without a classifier where there are no
    pairs, for pairs that do not fit together or to the backbone, and for settings that the way lacks.
    """
    how = DEFAULT_WAY if how is None else how
    if how not in WAYS:
        raise UnknownName("way to join", how, WAYS)
    check_names(how, WAYS[how], settings)
    image_side, text_side = image_half(image, pretrained), text_half(text, pretrained)
    if pairs is not None:
        fitted_on = from_images(*pairs, image_side, text_side)
        source: Any = [fingerprint(pairs[0]), list(pairs[1])]
    elif image_side.head is not None:
        vectors = class_vectors(text_side, image_side.head.out_features)
        fitted_on, source = from_classifier(image_side.head, vectors), "classifier rows"
    else:
        raise InvalidInput(
            f"{image_side.name} has no classifier to take words from; pass pairs of image features and texts, or take "
            "a backbone with ImageNet weights"
        )
    join, scale = WAYS[how](fitted_on, **settings), fit_scale(fitted_on, how, settings)
    mark = fingerprint(RECIPE, image_side.fingerprint, text_side.fingerprint, how, settings, source)
    return Bridge(join.to(torch.float32), how, scale, image_side, text_side, mark)


def fit_scale(pairs: Pairs, how: str, settings: dict[str, Any]) -> float:
    """The factor of cosines with the lowest cross-entropy on every fifth pair, joined by the others."""
    rows = torch.arange(len(pairs.vectors))
    join = WAYS[how](pairs.select(rows[rows % 5 != 0]), **settings)
    held = pairs.select(rows[rows % 5 == 0])
    cosines = normalize(join.image(held.features), dim=1) @ normalize(join.text(held.vectors), dim=1).T
    same = (held.vectors @ held.vectors.T) > 1 - 1e-6  # pairs with the same text are right for one another
    own = same.double() / same.sum(1, keepdim=True)
    scales: list[float] = torch.logspace(0, 2, 81, dtype=cosines.dtype).tolist()
    losses = [float(cross_entropy(scale * cosines, own)) for scale in scales]
    return round(scales[losses.index(min(losses))], 4)
