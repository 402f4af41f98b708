"""Text vectors on disk, by everything they depend on: a text is embedded once, and a second run reads."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from fewshot.errors import UnreadableFile
from fewshot.files import cache_folder, remove_unfinished, write_tensors
from fewshot.fingerprint import fingerprint

Vectors = dict[str, Tensor]


def cached(key: str, make: Callable[[], Vectors], cache: bool | str | Path = True) -> Vectors:
    """The vectors kept under `key`; where there are none, or the file is damaged, they are made and kept.

    cache is a folder; True is `$FEWSHOT_CACHE/words`, False keeps nothing.
    """
    if not cache:
        return make()
    path = (cache_folder() / "words" if cache is True else Path(cache)) / f"{key}.safetensors"
    with suppress(UnreadableFile):
        return _read(path)
    vectors = make()
    write_tensors(path, vectors, {"content": _content(vectors)})
    remove_unfinished(path)
    return vectors


def _read(path: Path) -> Vectors:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            content = (file.metadata() or {}).get("content")
    except (OSError, SafetensorError) as error:
        raise UnreadableFile(f"{path} cannot be read: {error}") from None
    if content != _content(vectors):
        raise UnreadableFile(f"{path} is damaged: its content is not what was written")
    return vectors


def _content(vectors: Vectors) -> str:
    return fingerprint(*(part for name in sorted(vectors) for part in (name, vectors[name])))
