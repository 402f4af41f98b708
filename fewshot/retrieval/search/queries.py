"""What a person asks by, as vectors: a picture or its file, a text, a vector, or an item of the index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.errors import InvalidInput, MissingData

if TYPE_CHECKING:
    from PIL.Image import Image

    from fewshot.retrieval.index import Index

PICTURES = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm"}


class Text(str):
    """A query that is a text whatever it looks like, even the name of a file."""


@dataclass(frozen=True)
class Queries:
    """Queries as vectors (Q, D) float32, what each was and is called, and whether one was asked or several."""

    vectors: np.ndarray
    asked: tuple[Any, ...]
    names: tuple[str, ...]
    several: bool


def read_queries(index: Index, query: Any) -> Queries:
    """Make vectors of `query`, or of each of a list.

    A `Path`, or a string that is a file: a picture. Another string, and any `Text`: a text. An integer: the id of an
    item. A PIL picture; a vector (D,), or several (Q, D). Raises `MissingData` for a file that is not there and
    `InvalidInput` for a text where the backbone knows no words, an unknown id, and anything else.
    """
    if hasattr(query, "detach"):
        query = query.detach().cpu().numpy()
    if isinstance(query, np.ndarray) and query.ndim == 2:
        names = tuple(f"vector {row}" for row in range(len(query)))
        return Queries(query, tuple(query), names, True)
    one_vector = isinstance(query, list | tuple) and len(query) > 0 and all(isinstance(part, float) for part in query)
    several = isinstance(query, list | tuple) and not one_vector
    asked = list(query) if several else [query]
    if not asked:
        raise InvalidInput("nothing was asked: the list of queries is empty")
    vectors = np.empty((len(asked), index.manifest.dim), np.float32)
    kinds = [_kind(part) for part in asked]
    make: dict[str, Callable[[Index, list[Any]], np.ndarray]] = {
        "picture": _of_pictures,
        "text": _of_texts,
        "id": _of_ids,
        "vector": _of_vectors,
    }
    for kind, made in make.items():
        mine = [place for place, found in enumerate(kinds) if found == kind]
        if mine:
            vectors[mine] = made(index, [asked[place] for place in mine])
    names = tuple(_name(part, kind) for part, kind in zip(asked, kinds, strict=True))
    return Queries(vectors, tuple(asked), names, several)


def _kind(query: Any) -> str:
    if isinstance(query, bool):
        raise InvalidInput(f"a query is a picture, a file, a text, a vector or an id, not {query}")
    if isinstance(query, int | np.integer):
        return "id"
    if isinstance(query, Path) or hasattr(query, "convert"):
        return "picture"
    if isinstance(query, str):
        if not query.strip():
            raise InvalidInput("a query is an empty text")
        return "picture" if not isinstance(query, Text) and _is_file(query) else "text"
    if isinstance(query, np.ndarray | list | tuple):
        return "vector"
    raise InvalidInput(f"a query is a picture, a file, a text, a vector or an id, not {type(query).__name__}")


def _is_file(text: str) -> bool:
    try:
        return Path(text).suffix.lower() in PICTURES or Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero in it
        return False


def _of_ids(index: Index, ids: Sequence[int]) -> np.ndarray:
    return index.vectors(ids)


def _of_vectors(index: Index, vectors: Sequence[Any]) -> np.ndarray:
    dim = index.manifest.dim
    made = [np.asarray(vector, np.float32) for vector in vectors]
    if wrong := [vector.shape for vector in made if vector.shape != (dim,)]:
        raise InvalidInput(f"a query vector must have the shape ({dim},), found {wrong[0]}")
    return np.stack(made)


def _of_texts(index: Index, texts: Sequence[str]) -> np.ndarray:
    backbone = index.backbone
    encoder = getattr(backbone, "text", None) if hasattr(backbone, "preprocess") else backbone
    if encoder is None:
        raise InvalidInput(
            f"{texts[0]!r} is no file, and {backbone.name} knows no words to search by text; build the index with a "
            "backbone with a text tower, such as bridge:lite0-minilm"
        )
    return np.asarray(encoder(list(texts)).cpu().numpy())


def _of_pictures(index: Index, pictures: Sequence[Any]) -> np.ndarray:
    import torch

    backbone = index.backbone
    if not hasattr(backbone, "preprocess"):
        raise InvalidInput(f"{backbone.name} embeds texts; search this index by texts, vectors or ids")
    images = [backbone.preprocess(picture_of(picture)) for picture in pictures]
    return np.asarray(backbone(torch.stack(images)).cpu().numpy())


def picture_of(query: Any) -> Image:
    """The RGB picture of a query that is one; raises `MissingData` where its file is not there."""
    from fewshot.datasets.decoding import decode, to_rgb

    if hasattr(query, "convert"):
        return to_rgb(query)
    path = Path(query)
    if not path.is_file():
        raise MissingData(f"the query {path} does not exist")
    return decode(path.read_bytes(), path.name, "the query")


def own_ids(index: Index, queries: Queries) -> list[np.ndarray]:
    """For each query the ids of the items that it is itself, told by id, or by the content of its file.

    Raises `InvalidInput` for a query of another kind.
    """
    return [_own_ids(index, query, name) for query, name in zip(queries.asked, queries.names, strict=True)]


def _own_ids(index: Index, query: Any, name: str) -> np.ndarray:
    kind = _kind(query)
    if kind == "id":
        return np.asarray([query], np.int64)
    if kind == "picture" and isinstance(query, str | Path):
        from fewshot.datasets.sources.files import FileImages

        digest = FileImages(Path(query).parent, [Path(query).name]).digest(0)
        same = np.asarray(index.snapshot.column("hash").to_numpy() == digest)
        return index.snapshot.ids[same & index.snapshot.alive]
    raise InvalidInput(f"{name}: exclude_self needs ids or files of pictures; it can't be told which item a {kind} is")


def _name(query: Any, kind: str) -> str:
    if kind == "id":
        return f"id {query}"
    if kind == "vector" or hasattr(query, "convert"):
        return kind
    return str(query)
