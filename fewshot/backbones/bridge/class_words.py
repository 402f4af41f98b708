"""The 1,000 ImageNet classes in words, and the vectors of these, which are kept on disk."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from fewshot.backbones.bridge.halves import TextHalf
from fewshot.backbones.vector_cache import cached
from fewshot.errors import InvalidInput, MissingPackage
from fewshot.fingerprint import fingerprint


def class_vectors(text: TextHalf, classes: int) -> Tensor:
    """A vector (C, E) of length 1, float64, for each ImageNet class: the mean of its three texts' vectors.

    They are kept under `$FEWSHOT_CACHE/words`; those of an untrained encoder, which mean nothing, are drawn at random.
    Raises `InvalidInput` for another number of classes.
    """
    texts = class_texts(classes)
    if not text.pretrained:
        return normalize(torch.randn(classes, text.dim, dtype=torch.float64), dim=1)

    def make() -> dict[str, Tensor]:
        return {"raw": torch.stack([normalize(text.encode(each).cpu(), dim=1) for each in texts]).mean(0)}

    return normalize(cached(fingerprint(text.fingerprint, texts), make)["raw"].double(), dim=1)


def class_texts(classes: int) -> list[list[str]]:
    """Three lists with a text for each ImageNet class: its first name, all its names, and these with a definition.

    The classes are in the order of a classifier of 1,000, the definitions WordNet's. Raises `InvalidInput` for
    another number.
    """
    try:
        from timm.data import ImageNetInfo
    except ImportError:
        raise MissingPackage("timm", "a bridge without pairs, for the names of the ImageNet classes,") from None

    info = ImageNetInfo()
    if classes != info.num_classes():
        raise InvalidInput(
            f"class names are known for the {info.num_classes()} ImageNet classes and the classifier has {classes}; "
            "pass pairs of image features and texts"
        )
    names = [info.index_to_description(index) for index in range(classes)]
    defined = [info.index_to_description(index, detailed=True) for index in range(classes)]
    return [[name.split(", ")[0] for name in names], names, defined]
