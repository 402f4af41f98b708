"""Which FAISS index to build, and why: by the number of vectors, the memory and the recall asked for."""

import math
from dataclasses import dataclass

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.factories import make_index
from fewshot.retrieval.engine.footprint import bytes_of, seconds_of
from fewshot.retrieval.engine.metrics import check_metric

FLAT_UP_TO = 2_000  # vectors: exact search takes a twentieth of a millisecond
WHOLE_UP_TO = 32_000  # lists of whole vectors are as fast as lists of codes, and need no second look
SMALL_LISTS = 16_384  # above, the lists themselves are found through a graph
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Candidate:
    """A kind of index: the recall it can reach at best, and what is to be said for it."""

    factory: str
    ceiling: float
    merit: str


@dataclass(frozen=True)
class Choice:
    """What will be built and why. Bytes and seconds are estimates; `candidates` tell each kind that was weighed."""

    factory: str
    why: str
    memory_bytes: int
    disk_bytes: int
    seconds: float
    candidates: tuple[str, ...] = ()


def choose(count: int, dim: int, metric: str, memory: int | None, recall: float, k: int, threads: int) -> Choice:
    """The fastest index that can reach `recall` at k and be built in `memory` bytes (None: as much as there is).

    The kinds stand in the order of their measured speed, Flat first where nothing is faster than exact search. Raises
    `InvalidInput` that tells the least memory that would do where none fits.
    """
    check_metric(metric)
    if count < 1 or not 0 < recall <= 1 or k < 1:
        raise InvalidInput(
            f"an index needs vectors, k of 1 or more and a recall in (0, 1], found {count}, {k}, {recall}"
        )
    weighed: list[str] = []
    needed: list[tuple[int, str]] = []
    chosen: Choice | None = None
    for candidate in candidates(count, dim, recall):
        index = make_index(candidate.factory, dim, metric)
        size = bytes_of(index, count) + 8 * count
        built = size + BLOCK_BYTES
        word = "fits"
        if candidate.ceiling < recall:
            word = f"reaches about {candidate.ceiling:.2f} at most"
        else:
            needed.append((built, candidate.factory))
            if memory is not None and built > memory:
                word = "too large"
            elif chosen is None:
                word = "chosen"
                limit = "" if memory is None else f", fits in {_size(memory)}"
                why = f"{candidate.merit} for {count:,} vectors{limit}"
                seconds = seconds_of(index, count, dim, threads)
                chosen = Choice(candidate.factory, why, built, size, seconds)
        weighed.append(f"{candidate.factory}: {_size(built)}, {word}")
    if chosen is None:
        least, factory = min(needed)
        raise InvalidInput(
            f"no index of {count:,} vectors of {dim} dimensions reaches recall {recall:g} in {_size(memory or 0)}; "
            f"{factory} needs {_size(least)}: give more memory or ask for less recall"
        )
    return Choice(chosen.factory, chosen.why, chosen.memory_bytes, chosen.disk_bytes, chosen.seconds, tuple(weighed))


def explain(factory: str, count: int, dim: int, metric: str) -> Choice:
    """What a factory string of the user's own would cost; raises `InvalidInput` where no index can be made of it."""
    index = make_index(factory, dim, metric)
    size = bytes_of(index, count) + 8 * count
    return Choice(factory, "asked for", size + BLOCK_BYTES, size, seconds_of(index, count, dim, 1), (factory,))


def candidates(count: int, dim: int, recall: float) -> list[Candidate]:
    """The kinds worth weighing for so many vectors, fastest first; Flat always among them, alone for a recall of 1."""
    flat = Candidate("Flat", 1.0, "exact, and nothing is faster")
    if count <= FLAT_UP_TO or recall >= 1:
        return [flat]
    lists = f"IVF{list_count(count)}" + ("_HNSW32" if list_count(count) > SMALL_LISTS else "")
    half = f"PQ{dim // 2}x4fs" if dim % 2 == 0 else "RaBitQfs"
    whole = [Candidate(f"{lists},Flat", 1.0, "lists of whole vectors: fastest")] if count <= WHOLE_UP_TO else []
    return [
        *whole,
        Candidate(f"{lists},{half},RFlat", 1.0, "lists of 4-bit codes, the best scored by whole vectors: fastest"),
        Candidate("Flat", 1.0, "exact"),
        Candidate(f"{lists},{half},Refine(SQ8)", 0.99, "lists of 4-bit codes, the best scored by bytes"),
        Candidate(f"{lists},SQ8", 0.985, "lists of a byte a number"),
        Candidate(f"{lists},RaBitQ4", 0.93, "lists of four bits a number"),
        Candidate(f"{lists},{half}", 0.6, "lists of two bits a number"),
    ]


def list_count(count: int) -> int:
    """How many lists for `count` vectors: the power of two nearest to 2.5 times the root, 4 times from a million on."""
    wanted = (4 if count >= 1_000_000 else 2.5) * math.sqrt(count)
    return int(min(2 ** round(math.log2(wanted)), 65_536))


def _size(number: int) -> str:
    if number < 10**6:
        return f"{number / 1e3:.3g} kB"
    return f"{number / 1e6:,.0f} MB" if number < 10**9 else f"{number / 1e9:,.2f} GB"
