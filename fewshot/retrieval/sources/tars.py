"""Pictures in tar shards, as webdataset writes them: read in place, side files of the same name become columns."""

from __future__ import annotations

import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from fewshot.datasets.listing import is_picture
from fewshot.datasets.sources.files import EncodedImages
from fewshot.errors import MissingData, UnreadableFile
from fewshot.retrieval.sources.source import PictureSource

SIDE = (".txt", ".cls", ".json")


class TarImages(EncodedImages):
    """Picture files at known places of tar files; `names` are `SHARD/member`."""

    def __init__(self, path: Path, names: Sequence[str], places: Sequence[tuple[Path, int, int]]) -> None:
        super().__init__(path, names)
        self.places = places

    def open(self, index: int) -> BinaryIO:
        """The member, in memory."""
        path, offset, size = self.places[index]
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
        if len(content) < size:
            raise EOFError
        return io.BytesIO(content)

    def digest(self, index: int) -> str:
        """A hash of the member."""
        return blake2b(self.read(index), digest_size=16).hexdigest()


def tar_shards(path: Path, shards: Sequence[Path]) -> PictureSource:
    """The pictures of tar files, `path` being the folder of them or the one file.

    The key is `SHARD/member`. Of members of the same name up to the first dot, `.cls` gives the label, `.txt` the
    column `caption`, and `.json` a column for every plain value. Raises `UnreadableFile` for a tar compressed or
    cut short, `MissingData` where there are no pictures.
    """
    keys: list[str] = []
    places: list[tuple[Path, int, int]] = []
    facts: list[dict[str, Any]] = []
    for shard in shards:
        members = _members(shard)
        sides = defaultdict(dict)  # type: defaultdict[str, dict[str, Any]]
        with shard.open("rb") as file:
            for name, offset, size in members:
                sample, ending = _sample(name)
                if ending in SIDE:
                    file.seek(offset)
                    sides[sample] |= _facts(ending, file.read(size))
        for name, offset, size in members:
            if is_picture(name):
                keys.append(f"{shard.name}/{name}")
                places.append((shard.resolve(), offset, size))
                facts.append(sides[_sample(name)[0]])
    if not keys:
        raise MissingData(f"{path} has no pictures in its {len(shards)} tar files")
    labels = [fact.get("label") for fact in facts]
    described = {"kind": "tars", "path": str(path.resolve())}
    return PictureSource(path.name, TarImages(path, keys, places), keys, labels, _columns(facts), described)


def _members(shard: Path) -> list[tuple[str, int, int]]:
    try:
        with tarfile.open(shard, "r:") as tar:
            return [(member.name, member.offset_data, member.size) for member in tar if member.isreg()]
    except (tarfile.TarError, OSError) as error:
        raise UnreadableFile(
            f"{shard} is not a readable tar ({error}); it was cut short, or is compressed: unpack it first"
        ) from None


def _sample(name: str) -> tuple[str, str]:
    folder, _, file = name.rpartition("/")
    stem, dot, ending = file.partition(".")
    return f"{folder}/{stem}", f"{dot}{ending}".lower()


def _facts(ending: str, content: bytes) -> dict[str, Any]:
    text = content.decode("utf-8", "replace").strip()
    if ending == ".txt":
        return {"caption": text}
    if ending == ".cls":
        return {"label": text}
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return {key: value for key, value in told.items() if _is_plain(value)} if isinstance(told, dict) else {}


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _columns(facts: Sequence[dict[str, Any]]) -> Any:
    import pyarrow

    columns = {}
    for name in sorted({name for fact in facts for name in fact} - {"label"}):
        values = [fact.get(name) for fact in facts]
        try:
            column = pyarrow.array(values)
        except (pyarrow.ArrowException, TypeError, OverflowError):
            column = pyarrow.array([None if value is None else str(value) for value in values])
        columns[f"source_{name}" if name in ("id", "key", "hash") else name] = column
    return pyarrow.table(columns) if columns else None
