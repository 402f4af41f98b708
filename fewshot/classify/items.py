"""The pictures or texts a classifier is given: their classes, their features, and the same one in two classes."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Hashable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fewshot.backbones import Backbone, TextEncoder
from fewshot.datasets import Dataset
from fewshot.datasets.duplicates import duplicate_groups, pairs_across
from fewshot.errors import BrokenImages, FewshotWarning, InvalidInput

Items = Sequence[Image.Image | str | Path | np.ndarray] | Dataset
Names = Sequence[str] | Sequence[int] | np.ndarray


def names_of(items: Items, names: Names | None) -> Names:
    """The names given; a data set brings its own."""
    if names is not None:
        return names
    if isinstance(items, Dataset):
        return [items.class_names[label] for label in items.labels.tolist()]
    raise InvalidInput("each image needs a name; only a Dataset, such as fewshot.ImageFolder(path), brings its own")


def ids_of(items: Items) -> Sequence[str]:
    """What each item is called in messages: its id in the data set, its path or text, or its number."""
    if isinstance(items, Dataset):
        return items.ids
    return [str(item) if isinstance(item, str | Path) else f"number {row}" for row, item in enumerate(items)]


def classes_of(items: Items, names: Names) -> tuple[np.ndarray, Tensor]:
    """The names in order (C,), and for each item which of them is its own (N,).

    Raises `InvalidInput` for no items, for another number of names than items, for names that are neither strings nor
    integers, for less than two classes, and for a class of a data set without an image.
    """
    refuse_single_item(items)
    if len(items) != len(names):
        raise InvalidInput(f"each image needs one name, found {len(items)} images and {len(names)} names")
    if isinstance(items, Dataset) and (bare := items.class_counts == 0).any():
        raise InvalidInput(f"{items.name}: the class {items.class_names[int(bare.int().argmax())]!r} has no image")
    if len(items) == 0:
        raise InvalidInput("fit needs images of two classes or more, found no images")
    if not any(all(isinstance(name, kind) for name in names) for kind in (str, int | np.integer)):
        found = ", ".join(sorted({type(name).__name__ for name in names}))
        raise InvalidInput(f"names must be all strings or all integers, found {found}")
    classes, labels = np.unique(np.asarray(names), return_inverse=True)
    if len(classes) < 2:
        raise InvalidInput(f"fit needs images of two classes or more, found only {names[0]!r}")
    return classes, torch.from_numpy(labels)


def distinct_classes(names: Sequence[str]) -> np.ndarray:
    """Class names without their images, sorted (C,); raises `InvalidInput` for a name given twice, or less than two."""
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput(f"a class name must be a text that is not empty, found {name!r}")
        key = name.strip().casefold()
        if key in seen:
            both = repr(name) if seen[key] == name else f"{seen[key]!r}, or {name!r},"
            raise InvalidInput(f"the class name {both} is given twice; give each class one name")
        seen[key] = name
    if len(seen) < 2:
        raise InvalidInput(f"a classifier needs two classes or more, found {', '.join(map(repr, names)) or 'none'}")
    return np.asarray(sorted(names))


def features_of(backbone: Backbone | TextEncoder, items: Items) -> Tensor:
    """The features (N, D) of images or texts, on the backbone's device.

    Those of a data set are kept in the embedding cache. Raises `BrokenImages` naming all images that cannot be read.
    """
    from fewshot.embeddings import embed, embed_images

    refuse_single_item(items)
    if isinstance(backbone, TextEncoder):
        return backbone(_texts(items), progress=True)
    if not isinstance(items, Dataset):
        return embed_images(backbone, items).to(backbone.device)
    try:
        return embed(backbone, items).features.to(backbone.device, copy=True)  # the table is mapped from its file
    except BrokenImages as error:
        raise BrokenImages(items.name, error.names, "take them out of the folder") from None


def distinct_rows(items: Items, labels: Tensor, texts: bool) -> Tensor:
    """The rows (M,) of the pictures or texts, each once: of those that are equal byte for byte, the first.

    A copy would be known to what it is held out from. Warns of copies; raises `InvalidInput` naming those that stand
    in two classes.
    """
    groups = duplicate_groups(items.images) if isinstance(items, Dataset) else _equal(items, texts)
    ids, what = ids_of(items), "text" if texts else "picture"
    pairs = pairs_across(groups, labels.tolist())
    if pairs:
        raise InvalidInput(
            f"the same {what} stands in two classes: {_listed(ids, pairs)}; remove the one that is in the wrong class"
        )
    copies = [(group[0], other) for group in groups for other in group[1:]]
    if copies:
        warnings.warn(
            f"the same {what} is there more than once, and counts once: {_listed(ids, copies)}",
            FewshotWarning,
            stacklevel=2,
        )
    first = torch.ones(len(items), dtype=torch.bool)
    first[[other for _, other in copies]] = False
    return first.nonzero()[:, 0]


def _listed(ids: Sequence[str], pairs: Sequence[tuple[int, int]]) -> str:
    told = "; ".join(f"{ids[first]} and {ids[other]}" for first, other in pairs[:5])
    left = len(pairs) - 5
    return told + (f"; and {left} pair{'s' if left > 1 else ''} more" if left > 0 else "")


def refuse_single_item(items: Items | str | Path) -> None:
    """Raise `InvalidInput` for a text or path by itself, which would be read letter by letter."""
    if isinstance(items, str | Path):
        raise InvalidInput(f"images or texts come as a list, found {str(items)[:40]!r} by itself; put it into a list")


def _texts(items: Items) -> list[str]:
    texts = [item for item in items if isinstance(item, str)] if not isinstance(items, Dataset) else []
    if len(texts) < len(items):
        raise InvalidInput("a text encoder classifies texts: give strings, not images")
    for row, text in enumerate(texts):
        if not text.strip():
            raise InvalidInput(f"text number {row} is empty; leave it out")
    return texts


def _equal(items: Sequence, texts: bool) -> list[list[int]]:
    places: dict[Hashable, list[int]] = defaultdict(list)
    for row, item in enumerate(items):
        content = item.strip() if texts and isinstance(item, str) else _content(item)
        if content is not None:
            places[content].append(row)
    return [rows for rows in places.values() if len(rows) > 1]


def _content(item: object) -> Hashable | None:
    """What a picture is known by; None where it cannot be read, which is told when it is embedded."""
    try:
        if isinstance(item, str | Path):
            return blake2b(Path(item).read_bytes()).digest()
        if isinstance(item, Image.Image):
            return item.mode, item.size, blake2b(item.tobytes()).digest()
    except OSError:
        return None
    return (item.shape, blake2b(item.tobytes()).digest()) if isinstance(item, np.ndarray) else None
