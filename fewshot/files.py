"""Files that are whole or absent: written beside, flushed, then renamed."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fewshot.errors import UnreadableFile, UnwritableFile


def data_folder() -> Path | None:
    """The folder of local data sets: `$FEWSHOT_DATA`, else `../shared/data` where it exists, else none."""
    named = os.environ.get("FEWSHOT_DATA")
    folder = Path(named) if named else Path("../shared/data")
    return folder.resolve() if folder.is_dir() else None


def cache_folder() -> Path:
    """Where embeddings and downloads are kept: `$FEWSHOT_CACHE`, else `fewshot` under the user's cache folder."""
    named = os.environ.get("FEWSHOT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fewshot"


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it is flushed to disk and takes the place of `path`.

    If the block raises, nothing is left and an older `path` stays as it was; an `OSError` becomes `UnwritableFile`.
    """
    path = Path(path)
    beside = _beside(path)
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            flush(beside)
            os.replace(beside, path)
            flush(path.parent)
        finally:
            beside.unlink(missing_ok=True)


def remove_unfinished(path: Path) -> None:
    """Remove what processes that were killed in the middle of writing `path` have left beside it."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Like `whole_file` for a new folder: it appears with all its files, or not at all."""
    path = Path(path)
    beside, old = _beside(path), _beside(path)
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        try:
            yield beside
            for file in beside.iterdir():
                flush(file)
            flush(beside)
            if path.exists():
                os.replace(path, old)
            os.replace(beside, path)
            flush(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(path: str | Path, tensors: Mapping[str, Any], header: Mapping[str, str]) -> None:
    """Write tensors of any device as one safetensors file with `header` in front, whole or not at all."""
    from safetensors.torch import save

    # cloned, since safetensors refuses tensors that share memory
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with whole_file(path) as beside:
        beside.write_bytes(save(copies, dict(header)))


def read_json(path: str | Path) -> Any:
    """Read JSON; a missing or damaged file raises `UnreadableFile` naming it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnreadableFile(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(
            f"{path} is not readable JSON ({error}); it was damaged or is another kind of file"
        ) from None


@contextmanager
def told(path: Path) -> Iterator[None]:
    """An `OSError` in the block becomes `UnwritableFile` naming `path`."""
    try:
        yield
    except OSError as error:
        raise UnwritableFile(path, error.strerror or error) from error


def _beside(path: Path) -> Path:
    return path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}"


def flush(path: Path) -> None:
    """Have all that was written to the file or folder `path` reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
