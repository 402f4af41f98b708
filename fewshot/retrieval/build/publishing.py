"""Publishing a version: the manifest last, then away with what no version names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from fewshot.errors import FewshotError
from fewshot.retrieval.store import Manifest, has_manifest, read_manifest, write_manifest
from fewshot.retrieval.store.hashes import remember
from fewshot.retrieval.store.writing import remove_file

FOLDERS = ("shards", "segments", "tombstones")


def publish(folder: Path, manifest: Manifest) -> None:
    """Let `manifest` hold from now on, and remove the files that only older versions name."""
    write_manifest(folder, manifest)
    remember(folder, manifest.files, manifest.files)
    sweep(folder, manifest)


def sweep(folder: Path, manifest: Manifest | None) -> None:
    """Remove what a writer that was killed has left, and what `manifest` does not name; the lock must be held."""
    wanted = manifest.files if manifest else {}
    for place in FOLDERS:
        for path in sorted((folder / place).glob("*")) + sorted((folder / place).glob(".*")):
            if f"{place}/{path.name}" not in wanted:
                remove_file(path)
    for path in sorted(folder.glob(".manifest.json.*")):
        remove_file(path)


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Where the block is stopped or refuses, remove what it has written and not published; the ledger is kept."""
    try:
        yield
    except BaseException:
        with suppress(FewshotError):
            sweep(folder, read_manifest(folder) if has_manifest(folder) else None)
        raise


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Of the packages that what is written depends on."""
    from fewshot import __version__

    found = {"fewshot": __version__}
    for package in ("faiss-cpu", "numpy", "pyarrow"):
        try:
            found[package] = version(package)
        except ModuleNotFoundError:
            continue
    return found
