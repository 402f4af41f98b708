"""Search over kinds, metrics, segments and filters, against loops in float64."""

import numpy as np
import pytest
from index_vectors import KINDS, METRICS, blocks_of, clustered, nearest, recall, scores_of

from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.retrieval.engine import Searcher, build_segment
from fewshot.retrieval.engine import segment as segments

COUNT, FIRST = 2400, 1800
QUERIES = 25


class Built:
    """Vectors in two segments, the second by the trained parts of the first; a tenth of the rows is dead."""

    def __init__(self, folder, kind: str, metric: str) -> None:
        self.kind, self.metric = kind, metric
        draw = np.random.default_rng(5)
        self.ids = np.sort(draw.choice(10**6, COUNT, replace=False)).astype(np.int64)
        self.vectors = clustered(COUNT, metric)
        self.dead = draw.choice(self.ids, COUNT // 10, replace=False)
        self.queries = clustered(QUERIES, metric, seed=1)
        paths = [folder / "first.faiss", folder / "second.faiss"]
        one = blocks_of(self.ids[:FIRST], self.vectors[:FIRST])
        two = blocks_of(self.ids[FIRST:], self.vectors[FIRST:])
        build_segment(kind, one, FIRST, 32, metric, paths[0])
        build_segment(kind, two, COUNT - FIRST, 32, metric, paths[1], like=paths[0])
        settings = {"nprobe": 12, "efSearch": 200, "k_factor": 16}
        self.searcher = Searcher(paths, 32, metric, self.dead, self.ids, settings=settings)

    def truth(self, allowed: np.ndarray, k: int) -> np.ndarray:
        live = np.isin(self.ids, allowed) & ~np.isin(self.ids, self.dead)
        return nearest(self.queries, self.ids[live], self.vectors[live], k, self.metric)


@pytest.fixture(scope="module", params=METRICS)
def metric(request):
    return request.param


@pytest.fixture(scope="module", params=KINDS)
def built(request, metric, tmp_path_factory):
    return Built(tmp_path_factory.mktemp("index"), request.param, metric)


@pytest.fixture
def no_shortcut(monkeypatch):
    """Small selections go through lists and graphs too, as in a large index."""
    monkeypatch.setattr(segments, "FEW_ROWS", 0)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05])
def test_found_are_the_nearest_of_the_living_and_allowed(built, share, no_shortcut):
    allowed = np.random.default_rng(3).choice(built.ids, int(share * COUNT), replace=False)
    scores, ids = built.searcher.search(built.queries, 10, None if share == 1 else allowed)
    assert ids.shape == scores.shape == (QUERIES, 10)
    assert np.isin(ids, allowed).all()
    assert not np.isin(ids, built.dead).any()
    assert all(len(set(row)) == 10 for row in ids.tolist())
    whole = built.kind in ("Flat", "HNSW16", "IVF16,Flat", "IVF16_HNSW16,Flat", "IVF16,PQ16x4fs,RFlat")
    assert recall(ids, built.truth(allowed, 10)) >= (0.95 if whole else 0.85)


def test_scores_are_those_of_the_ids_found(built):
    scores, ids = built.searcher.search(built.queries, 5)
    places = np.searchsorted(built.ids, ids)
    wanted = np.take_along_axis(scores_of(built.queries, built.vectors, built.metric), places, axis=1)
    coarse = "SQ8" in built.kind
    assert np.allclose(scores, wanted, rtol=0.03 if coarse else 2e-5, atol=0.03 if coarse else 2e-5)
    order = np.diff(scores, axis=1)
    assert (order >= 0).all() if built.metric == "l2" else (order <= 0).all()


@pytest.mark.parametrize("count", [1, 3, 40])
def test_few_allowed_are_all_found(built, count, no_shortcut):
    allowed = np.random.default_rng(7).choice(np.setdiff1d(built.ids, built.dead), count, replace=False)
    _, ids = built.searcher.search(built.queries, 40, allowed)
    assert ids.shape == (QUERIES, count)
    assert (np.sort(ids, axis=1) == np.sort(allowed)).all()


def test_few_allowed_are_scanned(built):
    allowed = np.random.default_rng(8).choice(built.ids, 300, replace=False)
    _, ids = built.searcher.search(built.queries, 10, allowed)
    assert recall(ids, built.truth(allowed, 10)) >= (0.95 if "SQ8" in built.kind or "RaBitQ" in built.kind else 1.0)


def test_one_query_alone_is_answered_as_among_others(built):
    _, together = built.searcher.search(built.queries, 10)
    alone = np.concatenate([built.searcher.search(query, 10)[1] for query in built.queries])
    assert recall(alone, together) >= 0.99


def test_range_search_finds_all_that_is_near_enough(built):
    truth = scores_of(built.queries, built.vectors, built.metric)
    truth[:, np.isin(built.ids, built.dead)] = np.nan
    threshold = np.nanquantile(truth, 0.01 if built.metric == "l2" else 0.99)
    near = truth <= threshold if built.metric == "l2" else truth >= threshold
    found = built.searcher.range_search(built.queries, threshold)
    hit = sum(len(np.intersect1d(ids, built.ids[row])) for (_, ids), row in zip(found, near, strict=True))
    said = sum(len(ids) for _, ids in found)
    coarse = "SQ8" in built.kind
    assert hit >= (0.95 if coarse else 1) * near.sum() - (0 if coarse else 1)
    assert said <= near.sum() * (1.05 if coarse else 1) + 1
    assert not any(np.isin(ids, built.dead).any() for _, ids in found)


def searcher_of(folder, vectors, ids, dead=(), metric="cosine", kind="Flat", **how) -> Searcher:
    path = folder / "only.faiss"
    build_segment(kind, blocks_of(ids, vectors), len(ids), vectors.shape[1], metric, path)
    return Searcher([path], vectors.shape[1], metric, np.asarray(dead, np.int64), ids, **how)


@pytest.mark.parametrize("queries", [1, 30])
def test_the_dead_may_be_the_nearest_of_all(tmp_path, queries):
    vectors, ids = clustered(500), np.arange(500)
    asked = np.repeat(vectors[:1], queries, axis=0)
    near = nearest(asked[:1], ids, vectors, 130, "cosine")[0]
    searcher = searcher_of(tmp_path, vectors, ids, dead=near[:120])
    assert (searcher.search(asked, 10)[1] == near[120:]).all()


def test_an_empty_index_has_nothing_to_find(tmp_path):
    searcher = searcher_of(tmp_path, clustered(20), np.arange(20), dead=np.arange(20))
    assert len(searcher) == 0
    with pytest.raises(InvalidInput, match="the index is empty"):
        searcher.search(clustered(1), 1)


@pytest.mark.parametrize("settings", [{"nprobes": 4}, {"nprobe": 0}, {"k_factor": -1}, {"efSearch": float("nan")}])
def test_settings_that_are_none_are_refused(tmp_path, settings):
    searcher = searcher_of(tmp_path, clustered(20), np.arange(20))
    with pytest.raises(InvalidInput, match="settings are nprobe, efSearch, k_factor, exact"):
        searcher.search(clustered(1), 1, settings=settings)


def test_k_over_the_living_is_refused(tmp_path):
    vectors, ids = clustered(20), np.arange(20)
    searcher = searcher_of(tmp_path, vectors, ids, dead=[3, 4])
    assert searcher.search(vectors[:2], 18)[1].shape == (2, 18)
    with pytest.raises(InvalidInput, match="between 1 and 18, the rows of the index, found 19"):
        searcher.search(vectors[:2], 19)


def test_short_answers_are_padded_only_when_asked(tmp_path):
    vectors, ids = clustered(20), np.arange(20)
    searcher = searcher_of(tmp_path, vectors, ids)
    assert searcher.search(vectors[:2], 5, allowed=ids[:3])[1].shape == (2, 3)
    scores, found = searcher.search(vectors[:2], 5, allowed=ids[:3], short=True)
    assert (found[:, 3:] == -1).all()
    assert np.isnan(scores[:, 3:]).all()
    assert searcher.search(vectors[:2], 5, allowed=ids[:0])[1].shape == (2, 0)


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (np.ones((2, 31)), "shape"),
        (np.full((1, 32), np.nan), "NaN"),
        (np.full((1, 32), np.inf), "infinite"),
        (np.zeros((1, 32)), "zero vector"),
        (np.full((1, 32), 1e30), "infinite"),
    ],
)
def test_bad_queries_are_refused(tmp_path, queries, message):
    searcher = searcher_of(tmp_path, clustered(20), np.arange(20))
    with pytest.raises(InvalidInput, match=message):
        searcher.search(queries, 1)


def test_segments_of_other_ids_are_refused(tmp_path):
    vectors, ids = clustered(20), np.arange(20)
    searcher_of(tmp_path, vectors, ids)
    with pytest.raises(UnreadableFile, match="not the 20 of the index"):
        Searcher([tmp_path / "only.faiss"], 32, "cosine", ids[:0], ids + 1)


def test_another_dimension_or_no_index_is_refused(tmp_path):
    searcher_of(tmp_path, clustered(20), np.arange(20))
    with pytest.raises(UnreadableFile, match="another dimension or metric"):
        Searcher([tmp_path / "only.faiss"], 31, "cosine", np.empty(0), np.arange(20))
    (tmp_path / "torn.faiss").write_bytes((tmp_path / "only.faiss").read_bytes()[:100])
    with pytest.raises(UnreadableFile, match="not a readable FAISS index"):
        Searcher([tmp_path / "torn.faiss"], 32, "cosine", np.empty(0), np.arange(20))


def test_files_can_be_unlinked_after_opening(tmp_path):
    vectors, ids = clustered(3000), np.arange(3000)
    searcher = searcher_of(tmp_path, vectors, ids, kind="IVF16,PQ16x4fs,RFlat", settings={"nprobe": 16})
    (tmp_path / "only.faiss").unlink()
    assert (searcher.search(vectors[:50], 1)[1][:, 0] == ids[:50]).mean() > 0.98


def test_a_filter_made_ready_is_the_same_filter(tmp_path):
    vectors, ids = clustered(500), np.arange(500)
    searcher = searcher_of(tmp_path, vectors, ids, dead=[0, 1, 2])
    allowed = np.arange(0, 500, 7)
    ready = searcher.allow(allowed)
    assert (searcher.search(vectors[:9], 4, ready)[1] == searcher.search(vectors[:9], 4, allowed)[1]).all()
