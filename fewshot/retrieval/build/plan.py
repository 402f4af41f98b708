"""What a build will do, told and checked before it starts."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine import Choice, choose, explain

SIDECAR_BYTES = 200  # of a row, about


@dataclass(frozen=True)
class Plan:
    """`vectors` of `dim` values to be indexed, `embedded` of them are there already; bytes, and seconds by estimate."""

    source: str
    backbone: str
    vectors: int
    embedded: int
    dim: int
    metric: str
    recall: float
    k: int
    choice: Choice
    memory_limit: int
    disk_bytes: int
    disk_free: int
    embedding_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Every figure, ready for JSON."""
        choice = self.choice
        return {
            "source": self.source,
            "backbone": self.backbone,
            "vectors": self.vectors,
            "embedded": self.embedded,
            "dim": self.dim,
            "metric": self.metric,
            "recall_target": self.recall,
            "k": self.k,
            "vector_bytes": self.vectors * self.dim * 4,
            "index": choice.factory,
            "why": choice.why,
            "memory_bytes": choice.memory_bytes,
            "memory_limit": self.memory_limit,
            "disk_bytes": self.disk_bytes,
            "disk_free": self.disk_free,
            "embedding_seconds": round(self.embedding_seconds, 1),
            "index_seconds": round(choice.seconds, 1),
        }

    def check(self, index: Path) -> None:
        """Raise `InvalidInput` where memory or disk do not suffice."""
        if self.choice.memory_bytes > self.memory_limit:
            raise InvalidInput(
                f"{self.choice.factory} over {self.vectors:,} vectors of {self.dim} values needs about "
                f"{size(self.choice.memory_bytes)} of memory, and {size(self.memory_limit)} may be used; choose a "
                "smaller index, ask for less recall, or raise --memory"
            )
        if self.disk_bytes > self.disk_free:
            raise InvalidInput(
                f"{index} needs about {size(self.disk_bytes)} on disk, and {size(self.disk_free)} are free"
            )


def make_choice(
    index: str, count: int, dim: int, metric: str, memory: int | None, recall: float, k: int
) -> tuple[Choice, int]:
    """The FAISS index to build, "auto" or a factory string, and the bytes of memory that it may take."""
    limit = available_memory() if memory is None else memory
    if index == "auto":
        return choose(count, dim, metric, limit, recall, k, threads()), limit
    return explain(index, count, dim, metric), limit


def disk_needed(count: int, dim: int, choice: Choice, work: bool) -> int:
    """Bytes on disk for `count` vectors: shards, the segment, and their copies in the ledger where there is `work`."""
    return count * (dim * 4 * (2 if work else 1) + SIDECAR_BYTES) + choice.disk_bytes


def disk_free(path: Path) -> int:
    """Free bytes where `path` lies or will lie."""
    place = path.resolve()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def available_memory() -> int:
    """Bytes of memory that can be had now; half of all where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def size(count: float) -> str:
    """Bytes as a person says them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
