"""All that an index writes, renames and removes goes through here, with a named step between any two effects.

A step does nothing, unless `FEWSHOT_CRASH_AT=n` is set: then the process kills itself at its n-th step. That is how the
tests stop every command at every moment. `FEWSHOT_CRASH_COUNT=FILE` adds a line to FILE for each step.
"""

import json
import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fewshot.errors import FewshotError
from fewshot.files import flush, told

_steps = 0


def step(name: str, path: Path) -> None:
    """A moment at which a process may be killed: `name` tells what was just done, or is about to be, to `path`."""
    global _steps
    _steps += 1
    if "FEWSHOT_CRASH_COUNT" in os.environ:
        with open(os.environ["FEWSHOT_CRASH_COUNT"], "a", encoding="utf-8") as count:
            count.write(f"{name} {path.name}\n")
    if os.environ.get("FEWSHOT_CRASH_AT") == str(_steps):
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; then flush it, and let it take the place of `path`.

    If the block raises, nothing is left and an older `path` stays as it was; an `OSError` becomes `UnwritableFile`.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    step("to write", path)
    with told(path):
        try:
            yield beside
            step("written", beside)
            flush(beside)
            step("flushed", beside)
            os.replace(beside, path)
            step("renamed", path)
            _keep(path)
            step("kept", path)
        finally:
            beside.unlink(missing_ok=True)


def _keep(path: Path) -> None:
    """Have the new name of `path` reach the disk; where it does not, the new state is there all the same."""
    try:
        flush(path.parent)
    except OSError as error:
        raise FewshotError(
            f"{path} is written, and its folder could not be flushed ({error.strerror or error}): a power failure now "
            "may bring back what was there before; see to the disk"
        ) from error


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with new_file(path) as beside:
        beside.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def make_folder(path: Path) -> None:
    """Make `path` and the folders above it, where they are missing."""
    if path.is_dir():
        return
    step("to make", path)
    with told(path):
        path.mkdir(parents=True, exist_ok=True)
        step("made", path)
        flush(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file that nothing names any more."""
    step("to remove", path)
    with told(path):
        path.unlink(missing_ok=True)
    step("removed", path)


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it, file by file."""
    for inside in sorted(path.iterdir()):
        remove_folder(inside) if inside.is_dir() and not inside.is_symlink() else remove_file(inside)
    step("to remove", path)
    shutil.rmtree(path, ignore_errors=True)
    step("removed", path)
