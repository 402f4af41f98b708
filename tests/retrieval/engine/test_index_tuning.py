"""Tuning reaches the recall on queries that took no part, or says what would."""

from time import sleep

import numpy as np
import pytest
from index_vectors import blocks_of, clustered, nearest, recall

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine import Searcher, build_segment, tune
from fewshot.retrieval.engine.knobs import EXACT
from fewshot.retrieval.engine.recall import Truth, interval

COUNT = 6000
IDS = np.arange(COUNT)


@pytest.fixture(scope="module")
def vectors():
    return clustered(COUNT)


def searcher_of(folder, kind, vectors) -> Searcher:
    build_segment(kind, blocks_of(IDS, vectors), COUNT, 32, "cosine", folder / "a")
    return Searcher([folder / "a"], 32, "cosine", np.empty(0, np.int64), IDS)


@pytest.mark.parametrize("kind", ["Flat", "HNSW16", "IVF32,Flat", "IVF32,PQ16x4fs,RFlat"])
@pytest.mark.parametrize("target", [0.8, 0.97, 1.0])
def test_the_recall_holds_on_fresh_queries(tmp_path, vectors, kind, target):
    searcher = searcher_of(tmp_path, kind, vectors)
    tuned = tune(searcher, blocks_of(IDS, vectors), clustered(300, seed=4), target, 10)
    assert tuned.recall >= target
    assert tuned.queries == 150
    assert tuned.ci95[0] <= tuned.recall <= tuned.ci95[1]
    fresh = clustered(500, seed=9)
    _, ids = searcher.search(fresh, 10, settings=tuned.settings)
    assert recall(ids, nearest(fresh, IDS, vectors, 10, "cosine")) >= target - 0.02
    assert tuned.batch_ms <= tuned.exact_batch_ms * 1.05


def test_one_half_picks_and_the_other_proves(tmp_path, vectors):
    queries = clustered(100, seed=4)
    searcher = searcher_of(tmp_path, "IVF32,Flat", vectors)
    tuned = tune(searcher, blocks_of(IDS, vectors), queries, 0.9, 10)
    _, ids = searcher.search(queries[1::2], 10, settings=tuned.settings)
    assert tuned.recall == pytest.approx(recall(ids, nearest(queries[1::2], IDS, vectors, 10, "cosine")))


def test_a_recall_out_of_reach_says_what_would_reach_it(tmp_path, vectors):
    searcher = searcher_of(tmp_path, "IVF32,PQ8x4fs", vectors)
    with pytest.raises(InvalidInput, match=r"gives 0\.\d+ \(0\.\d+ to 0\.\d+\).*',RFlat'.*ask for at most 0\.\d+"):
        tune(searcher, blocks_of(IDS, vectors), clustered(100, seed=4), 0.95, 10)


def test_a_way_that_has_lost_is_not_run_again(tmp_path, vectors, monkeypatch):
    """Looking at every vector takes seconds on a million of them."""
    searcher, search, exact = searcher_of(tmp_path, "IVF32,Flat", vectors), Searcher.search, []

    def slow_where_exact(self, queries, k, settings=None, **how):
        if settings == EXACT:
            exact.append(len(queries))
            sleep(0.5)
        return search(self, queries, k, settings=settings, **how)

    monkeypatch.setattr(Searcher, "search", slow_where_exact)
    tuned = tune(searcher, blocks_of(IDS, vectors), clustered(100, seed=4), 0.9, 10)
    assert exact == [50]
    assert tuned.exact_batch_ms >= 10 > tuned.batch_ms


def test_one_query_cannot_pick_and_prove(tmp_path, vectors):
    with pytest.raises(InvalidInput, match="2 queries or more"):
        tune(searcher_of(tmp_path, "Flat", vectors), blocks_of(IDS, vectors), clustered(1, seed=4), 0.9, 10)


def test_rows_that_tie_with_the_last_count_as_found():
    vectors = np.repeat(clustered(10), 8, axis=0)
    truth = Truth(blocks_of(np.arange(80), vectors), clustered(10), 3, "cosine", np.empty(0))
    others = np.arange(10)[:, None] * 8 + [5, 6, 7]
    assert (truth.recalls(others) == 1).all()
    assert (truth.recalls(others + 8) == 0).all()


def test_intervals():
    assert interval(np.ones(100)) == pytest.approx((0.963, 1.0), abs=1e-3)  # Wilson, all found
    low, high = interval(np.array([0.8, 1.0] * 50))
    assert (low, high) == pytest.approx((0.9 - 0.01994, 0.9 + 0.01994), abs=1e-4)  # t(99) 1.9842 * 0.1005 / 10
