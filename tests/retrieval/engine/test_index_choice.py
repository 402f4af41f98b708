"""The choice of an index by count, memory and recall, and estimates against what is then written."""

import numpy as np
import pytest
from index_vectors import KINDS, blocks_of, clustered

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine import build_segment, choose, explain
from fewshot.retrieval.engine.factories import make_index
from fewshot.retrieval.engine.footprint import bytes_of


def test_few_vectors_are_searched_exactly():
    choice = choose(2000, 256, "cosine", None, 0.95, 10, 2)
    assert choice.factory == "Flat"
    assert "exact" in choice.why


def test_some_thousands_get_lists_of_whole_vectors():
    assert choose(20_000, 256, "cosine", None, 0.95, 10, 2).factory == "IVF256,Flat"


@pytest.mark.parametrize("dim", [256, 384, 385, 2])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_many_vectors_get_lists_that_are_refined(dim, metric):
    choice = choose(200_000, dim, metric, None, 0.95, 10, 1)
    assert choice.factory.startswith("IVF1024,")
    assert choice.factory.endswith(",RFlat")
    assert any(told.startswith("Flat:") for told in choice.candidates)


def test_less_memory_takes_a_smaller_kind_until_none_is_left():
    sizes = []
    for memory in (500e6, 200e6, 125e6):
        choice = choose(200_000, 256, "cosine", int(memory), 0.95, 10, 1)
        assert choice.memory_bytes <= memory
        sizes.append(choice.memory_bytes)
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(InvalidInput, match=r"reaches recall 0.95 in 20 MB; IVF1024,SQ8 needs"):
        choose(200_000, 256, "cosine", 20_000_000, 0.95, 10, 1)


def test_a_recall_of_one_needs_whole_vectors():
    assert choose(200_000, 256, "cosine", None, 1.0, 10, 1).factory == "Flat"
    with pytest.raises(InvalidInput, match="Flat needs"):
        choose(200_000, 256, "cosine", 150_000_000, 1.0, 10, 1)


@pytest.mark.parametrize("recall", [0, 1.01, -1, float("nan")])
def test_a_recall_that_is_none_is_refused(recall):
    with pytest.raises(InvalidInput):
        choose(1000, 8, "cosine", None, recall, 10, 1)


def test_an_unknown_metric_is_refused():
    with pytest.raises(InvalidInput, match="cosine, inner-product, l2"):
        choose(1000, 8, "euclid", None, 0.9, 10, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_told_are_bytes_written(tmp_path, kind):
    vectors = clustered(4000)
    told = explain(kind, 4000, 32, "cosine")
    made = build_segment(told, blocks_of(np.arange(4000), vectors), 4000, 32, "cosine", tmp_path / "a")
    assert made["bytes"] == pytest.approx(told.disk_bytes, rel=0.05)


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF4,Flat", "IVF4,SQ8,RFlat"])
def test_an_index_without_a_name_is_sized_like_one_with(factory):
    named = make_index(factory, 16, "cosine")
    assert bytes_of(make_index(factory, 16, "cosine"), 1000) == bytes_of(named, 1000)
