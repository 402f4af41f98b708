"""One writer at a time: a lock that the system lets go when its holder ends, however it ends."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from fewshot.errors import IndexLocked
from fewshot.files import told
from fewshot.retrieval.store.writing import make_folder

LOCK = "lock"
_held: set[int] = set()


@contextmanager
def writing_lock(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of the index in `folder`, waiting up to `wait` seconds for another writer to end.

    Raises `IndexLocked`, which tells process, command and since when, where another has it still.
    """
    import fcntl

    make_folder(folder)
    with told(folder / LOCK):
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    end = time.monotonic() + wait
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise IndexLocked(folder, holder(folder), wait) from None
                time.sleep(min(0.05, max(end - time.monotonic(), 0.0)))
        _held.add(handle)
        _sign(handle)
        yield
    finally:
        _held.discard(handle)
        os.close(handle)


def holder(folder: Path) -> dict[str, Any]:
    """Who holds the lock or held it last: `pid`, `command` and `since`; empty where that cannot be told."""
    try:
        told = json.loads((folder / LOCK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _sign(handle: int) -> None:
    words = [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else [""]
    note = {"pid": os.getpid(), "command": " ".join(words)[:300], "since": datetime.now().isoformat(timespec="seconds")}
    with suppress(OSError):  # a full disk must not stop what frees room
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(note).encode(), 0)


def _let_go_in_child() -> None:
    # a worker process that outlives its parent must not hold the parent's lock
    for handle in _held:
        with suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
