"""A FAISS index to a file, through Python's own, which tells of a full disk."""

from pathlib import Path
from typing import Any


def write_faiss(index: Any, path: Path) -> None:
    """Write `index` at `path`; raises `OSError` where not all of it can be written.

    FAISS's own writer says nothing of a disk that is full when its file is closed: the last bytes are then lost.
    """
    import faiss

    with path.open("wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))
