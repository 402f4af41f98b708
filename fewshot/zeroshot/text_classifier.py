"""Text vectors of classes: prompts embedded, averaged and scaled to length 1 (Radford et al. 2021, section 3.1.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.backbones.vector_cache import Vectors, cached
from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint
from fewshot.learners.features import l2_normalize
from fewshot.learners.words import Words
from fewshot.zeroshot.ensembles import How, check_how, mean_of_prompts, prompt_vectors, weighted_by_images
from fewshot.zeroshot.prompts import ClassNames, Texts, class_prompts
from fewshot.zeroshot.templates import Template, TemplateSet, template_set

if TYPE_CHECKING:
    from fewshot.backbones import Backbone, TextEncoder


def build_words(
    encoder: TextEncoder | Backbone,
    class_names: ClassNames,
    templates: str | TemplateSet | Sequence[Template] | None = "simple",
    descriptions: Mapping[str, Texts] | None = None,
    synonyms: Mapping[str, Texts] | None = None,
    background: Texts | None = None,
    clean: bool = True,
    how: How = "mean",
    images: Tensor | None = None,
    reference: Tensor | None = None,
    keep_prompts: bool = False,
    cache: bool | str | Path = True,
    batch_size: int = 256,
    progress: bool = True,
) -> Words:
    """One text vector a class: the mean of its prompts, each of length 1, scaled to length 1.

    class_names: names, or a mapping from names to what each is called in prompts.
    templates: as `template_set` takes them. descriptions: texts about a class, prompts beside those of the templates
        (`templates=None` for descriptions alone). synonyms: further names of a class.
    background: one name or more of what is none of the classes; adds the class "none of these", the last.
    clean: write "Golden-Delicious" and "ice_cream" with blanks in prompts, see `clean_name`; names stay as they are.
    The rest as `embed_prompts` takes it. Raises what `template_set`, `class_prompts` and `embed_prompts` refuse.
    """
    prompts = class_prompts(class_names, template_set(templates), descriptions, synonyms, background, clean)
    return embed_prompts(encoder, prompts, how, images, reference, keep_prompts, cache, batch_size, progress)


def embed_prompts(
    encoder: TextEncoder | Backbone,
    prompts: Mapping[str, Sequence[str]],
    how: How = "mean",
    images: Tensor | None = None,
    reference: Tensor | None = None,
    keep_prompts: bool = False,
    cache: bool | str | Path = True,
    batch_size: int = 256,
    progress: bool = True,
) -> Words:
    """The words of classes from their prompts.

    encoder: an image-text backbone, whose space the words are in, or a text encoder by itself.
    how: "mean" counts all prompts of a class alike; a sequence has a weight for each; "weighted" (ZPE) weighs each
        place in the lists by how well its prompts suit `images`, unlabelled features (N, D) of what is to be
        classified, and `reference`, features of images such as the model was trained on; see `prompt_score`. The last
        two need as many prompts of each class.
    keep_prompts: keep the vectors of all prompts too, for learners that ask; otherwise some 2,000 are held at once, or
        one of each class where there are more classes.
    cache: whether vectors are kept on disk, or in which folder; they are found by encoder, prompts and `how`.

    Raises `InvalidInput` for a backbone without a text tower, for unequal numbers of prompts where they must be equal,
    for wrong weights, and for `how="weighted"` without images.
    """
    text, backbone = _halves(encoder)
    how = how if isinstance(how, str) else [float(weight) for weight in how]
    check_how(prompts, how, keep_prompts)
    images, reference = _seen(images, reference, text.dim) if how == "weighted" else (None, None)

    def make() -> Vectors:
        found = prompt_vectors(text, prompts, batch_size, progress)
        kept = list(found) if keep_prompts else found
        if images is not None:
            raw = weighted_by_images(kept, images, reference, text.scale)
        else:
            raw = mean_of_prompts(kept, len(prompts), None if isinstance(how, str) else how)
        return {"raw": raw} | ({"prompts": torch.stack([vectors for _, vectors in kept], 1)} if keep_prompts else {})

    key = fingerprint(text.fingerprint, text.scale, list(prompts.values()), how, keep_prompts, images, reference)
    vectors = {name: tensor.to(text.device) for name, tensor in cached(key, make, cache).items()}
    return Words(
        vectors=l2_normalize(vectors["raw"]),
        names=tuple(prompts),
        scale=text.scale,
        bias=text.bias,
        backbone=backbone.fingerprint if backbone else "",
        prompts=vectors.get("prompts"),
        raw=vectors["raw"],
        encoder=text,
        projection=backbone.projection if backbone and backbone.layers else None,
    )


def _halves(encoder: TextEncoder | Backbone) -> tuple[TextEncoder, Backbone | None]:
    from fewshot.backbones import TextEncoder

    if isinstance(encoder, TextEncoder):
        return encoder, None
    if encoder.text is None:
        raise InvalidInput(
            f"{encoder.name} has no text tower, so it cannot read class names; use a backbone that has one, such as "
            "bridge:lite0-minilm or open_clip:ViT-B-32/openai"
        )
    return encoder.text, encoder


def _seen(images: Tensor | None, reference: Tensor | None, dim: int) -> tuple[Tensor, Tensor | None]:
    """The features that ZPE looks at, of length 1."""
    if images is None:
        raise InvalidInput('how="weighted" looks at unlabelled images; pass images=features (N, D)')
    for features in (images, reference):
        if features is not None and (features.ndim != 2 or not len(features) or features.shape[1] != dim):
            raise InvalidInput(f"images and reference must be features (N, {dim}), found {tuple(features.shape)}")
    return l2_normalize(images.float()), None if reference is None else l2_normalize(reference.float())
