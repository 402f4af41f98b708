"""Hashes of an index's files: made when they are written, checked before they are read, and checked once only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from fewshot.errors import InvalidInput, UnreadableFile, UnwritableFile
from fewshot.files import cache_folder, read_json, write_json
from fewshot.fingerprint import fingerprint
from fewshot.retrieval.store.manifest import FileNote

CHECKS = ("hashes", "sizes")


def note_of(path: Path) -> FileNote:
    """Length and SHA-256 of a file as it is now."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileNote(path.stat().st_size, digest)


def notes_of(paths: Iterable[Path]) -> dict[str, FileNote]:
    """The notes of several files by their names, made by threads."""
    paths = list(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing runs outside the interpreter lock
        return {path.name: note for path, note in zip(paths, pool.map(note_of, paths), strict=True)}


def check_files(folder: Path, files: Mapping[str, FileNote], how: str = "hashes") -> None:
    """Check that the files of `folder` are as noted: lengths, and hashes unless `how` is "sizes".

    A hash that was right is not made again while inode, length and times of the file stay as they are. Raises
    `UnreadableFile` naming the file that is not as it was written, and `FileNotFoundError` for one that is gone.
    """
    if how not in CHECKS:
        raise InvalidInput(f"verify must be one of {', '.join(CHECKS)}, found {how!r}")
    for name, note in files.items():
        if (size := (folder / name).stat().st_size) != note.bytes:
            raise _damaged(folder / name, f"it should have {note.bytes} bytes, found {size}")
    if how == "sizes":
        return
    known = _remembered(folder)
    unknown = [name for name, note in files.items() if known.get(name) != [*_stamp(folder / name), note.sha256]]
    if not unknown:
        return
    stamps = {name: _stamp(folder / name) for name in unknown}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, found in zip(unknown, pool.map(note_of, [folder / name for name in unknown]), strict=True):
            if found.sha256 != files[name].sha256:
                raise _damaged(folder / name, "its content is not what was written")
    remember(folder, {name: files[name] for name in unknown}, files, stamps)


def remember(
    folder: Path,
    right: Mapping[str, FileNote],
    files: Mapping[str, FileNote],
    stamps: Mapping[str, list[int]] | None = None,
) -> None:
    """Keep, in the user's cache, that the files `right` have their hashes; forget those not among `files`."""
    stamps = stamps or {name: _stamp(folder / name) for name in right}
    known = {name: each for name, each in _remembered(folder).items() if name in files}
    known |= {name: [*stamps[name], note.sha256] for name, note in right.items()}
    with suppress(UnwritableFile):
        write_json(_memory(folder), known)


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _memory(folder: Path) -> Path:
    return cache_folder() / "index-hashes" / f"{fingerprint(str(folder.resolve()))}.json"


def _remembered(folder: Path) -> dict[str, Any]:
    try:
        known = read_json(_memory(folder))
    except (UnreadableFile, OSError):
        return {}
    return known if isinstance(known, dict) else {}


def _damaged(path: Path, reason: str) -> UnreadableFile:
    return UnreadableFile(f"{path} is damaged: {reason}; run `fewshot index verify`, restore the file or build again")
