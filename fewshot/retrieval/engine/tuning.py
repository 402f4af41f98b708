"""Settings of a search, tuned until a recall holds, and proved on queries that took no part in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.blocks import Blocks
from fewshot.retrieval.engine.knobs import EXACT, Settings, ladders
from fewshot.retrieval.engine.recall import Truth, interval, surely
from fewshot.retrieval.engine.searcher import Searcher

CAUTION = (1.64, 2.6, 3.5)  # standard errors above the recall asked, more when the proof before failed
ROUNDS = 5
RACING = 4  # of the settings that reach the recall, these many are timed again
TOO_SLOW = 1.5  # times the best so far, where a ladder is left
BEATEN = 3  # times the best of a round, where a way has lost the race: exact search takes seconds on a million vectors
ALONE = 50


@dataclass(frozen=True)
class Tuned:
    """Settings that reach a recall, and the proof: mean recall and its 95 % interval over `queries` fresh queries.

    `latency_ms` is the median time of one query alone; `batch_ms` what a query takes among many, `exact_batch_ms` the
    same of looking at every vector.
    """

    settings: Settings
    recall: float
    ci95: tuple[float, float]
    queries: int
    latency_ms: float
    batch_ms: float
    exact_batch_ms: float


def tune(searcher: Searcher, blocks: Blocks, queries: np.ndarray, recall: float, k: int) -> Tuned:
    """The fastest settings with which `searcher` reaches `recall` at k; half of `queries` picks, half proves.

    queries (Q, D) must not be findable: not in the index, or among the searcher's dead. `blocks` are the vectors of
    the index. Exact search is taken where nothing is faster. Raises `InvalidInput` that says what would reach the
    recall where the index can't.
    """
    if len(queries) < 2:
        raise InvalidInput(f"tuning needs 2 queries or more, half to pick and half to prove, found {len(queries)}")
    truth = Truth(blocks, queries, k, searcher.metric, searcher.dead)
    picking, proving = truth.part(slice(0, None, 2)), truth.part(slice(1, None, 2))
    for caution in (*CAUTION, None):
        reaching = [] if caution is None else sorted(_reaching(searcher, picking, recall, caution), key=lambda r: r[0])
        seconds = _race(searcher, picking, [*(way for _, way in reaching[:RACING]), EXACT])
        fastest = min(seconds, key=lambda way: seconds[way])
        settings = dict(fastest)
        proof = _recalls(searcher, proving, settings)
        if proof.mean() >= recall:
            per_query = 1000 / len(picking.queries)
            return Tuned(
                settings,
                float(proof.mean()),
                interval(proof),
                len(proof),
                _alone(searcher, proving, settings),
                seconds[fastest] * per_query,
                seconds[_key(EXACT)] * per_query,
            )
    raise InvalidInput(
        f"recall {recall:g} at {k} can't be reached: looking at every code gives {proof.mean():.3f} "
        f"({interval(proof)[0]:.3f} to {interval(proof)[1]:.3f}), since the codes are coarser than the vectors; add "
        "',RFlat' to the factory (candidates scored by whole vectors), take a finer code such as SQ8, give more memory "
        f"or ask for at most {_floor(proof.mean())}"
    )


def _reaching(searcher: Searcher, truth: Truth, recall: float, caution: float) -> Iterator[tuple[float, Settings]]:
    """For each ladder the seconds and settings of the first rung sure of `recall`, unless others are much faster."""
    best = np.inf
    for rungs in ladders(searcher.segments):
        low, high, reached = 0, len(rungs), 0.0
        while low < high:
            middle = (low + high) // 2
            start = perf_counter()
            recalls = _recalls(searcher, truth, rungs[middle])
            seconds = perf_counter() - start
            if surely(recalls, recall, caution):
                high, reached, best = middle, seconds, min(best, seconds)
            elif seconds > TOO_SLOW * best:
                break
            else:
                low = middle + 1
        if reached:
            yield reached, rungs[high]


def _recalls(searcher: Searcher, truth: Truth, settings: Settings) -> np.ndarray:
    return truth.recalls(searcher.search(truth.queries, truth.k, settings=settings)[1])


def _race(searcher: Searcher, truth: Truth, ways: list[Settings]) -> dict[tuple[tuple[str, float], ...], float]:
    """Seconds that all queries take in each way: the least of the rounds that it was in, taken in turn."""
    best = {_key(way): np.inf for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            start = perf_counter()
            searcher.search(truth.queries, truth.k, settings=way)
            best[_key(way)] = min(best[_key(way)], perf_counter() - start)
        ways = [way for way in ways if best[_key(way)] < BEATEN * min(best.values())]
    return best


def _alone(searcher: Searcher, truth: Truth, settings: Settings) -> float:
    times = []
    for query in truth.queries[:ALONE]:
        start = perf_counter()
        searcher.search(query, truth.k, settings=settings)
        times.append(perf_counter() - start)
    return float(np.median(times)) * 1000


def _key(settings: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(settings.items()))


def _floor(value: float) -> str:
    return f"{np.floor(value * 100) / 100:.2f}"
