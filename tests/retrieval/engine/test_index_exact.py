"""Exact search against a sort of all scores, ties and rounding included."""

import numpy as np
import pytest
from index_vectors import METRICS, blocks_of, clustered, nearest, scores_of

from fewshot.retrieval.engine import exact_search


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("count", "k", "size"), [(2000, 10, 300), (50, 50, 7), (5, 8, 2)])
def test_as_a_sort_of_all_scores(metric, count, k, size):
    vectors, ids = clustered(count, metric), np.arange(count) * 3 + 1
    queries = clustered(30, metric, seed=1)
    dead = ids[::11]
    live = ~np.isin(ids, dead)
    found, scores = exact_search(blocks_of(ids, vectors, size), queries, k, metric, dead)
    truth = nearest(queries, ids[live], vectors[live], k, metric)
    width = truth.shape[1]
    assert (found[:, :width] == truth).all()
    assert (found[:, width:] == -1).all()
    assert np.isnan(scores[:, width:]).all()
    wanted = np.take_along_axis(scores_of(queries, vectors, metric), np.searchsorted(ids, truth), axis=1)
    assert np.allclose(scores[:, :width], wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("metric", METRICS)
def test_float64_decides_between_rows_that_float32_cannot_tell_apart(metric):
    draw = np.random.default_rng(0)
    centre = draw.normal(size=64) / 8
    vectors = (centre + 1e-6 * draw.normal(size=(3000, 64))).astype(np.float32)
    queries = (centre + 1e-4 * draw.normal(size=(20, 64))).astype(np.float32)
    asked = queries.astype(np.float64)
    if metric == "cosine":
        queries = (asked / np.linalg.norm(asked, axis=1, keepdims=True)).astype(np.float32)
    found, _ = exact_search(blocks_of(np.arange(3000), vectors), queries, 5, metric)
    if metric == "cosine":  # queries are brought to unit length in float32 before they are compared
        queries = (queries / np.sqrt(np.einsum("nd,nd->n", queries, queries))[:, None]).astype(np.float32)
    kind = "l2" if metric == "l2" else "inner-product"
    assert (found == nearest(queries, np.arange(3000), vectors, 5, kind)).all()


def test_ties_are_by_id():
    vectors = np.repeat(clustered(1), 400, axis=0)
    found, _ = exact_search(blocks_of(np.arange(400)[::-1].copy(), vectors, 90), clustered(3, seed=1), 6, "cosine")
    assert (found == np.arange(6)).all()
