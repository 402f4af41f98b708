"""What FAISS lets through: each is shown in FAISS itself, and refused or made good here."""

import faiss
import numpy as np
import pytest
from index_vectors import blocks_of, clustered, nearest, recall

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine import Searcher, build_segment, explain
from fewshot.retrieval.engine import segment as segments

IDS = np.arange(1000)


def refused(tmp_path, vectors, ids=IDS, metric="cosine", kind="Flat", count=None) -> str:
    path = tmp_path / "refused.faiss"
    with pytest.raises(InvalidInput) as found:
        build_segment(kind, blocks_of(ids, vectors), count or len(ids), 32, metric, path)
    assert not path.exists()
    return str(found.value)


def test_nan_rows_are_counted_and_never_found_by_faiss(tmp_path):
    vectors = clustered(1000)
    vectors[7] = np.nan
    raw = faiss.IndexFlatIP(32)
    raw.add(vectors)
    assert raw.ntotal == 1000
    assert 7 not in raw.search(clustered(1000), 999)[1]
    assert "NaN or infinite values, the first has the id 7" in refused(tmp_path, vectors)


def test_nan_rows_cost_hnsw_the_recall_of_others(tmp_path):
    vectors, queries = clustered(3000, dim=32), clustered(200, seed=2)
    broken = vectors.copy()
    broken[np.random.default_rng(0).choice(3000, 150, replace=False)] = np.nan
    clean = np.flatnonzero(~np.isnan(broken[:, 0]))
    truth = nearest(queries, clean, vectors[clean], 10, "cosine")
    recalls = []
    for rows in (vectors[clean], broken):
        raw = faiss.IndexHNSWFlat(32, 8, faiss.METRIC_INNER_PRODUCT)
        raw.hnsw.efSearch = 32
        raw.add(rows)
        found = raw.search(queries, 10)[1]
        recalls.append(recall(clean[found] if rows is not broken else found, truth))
    assert recalls[1] < recalls[0] - 0.02
    assert "rows hold NaN" in refused(tmp_path, broken, np.arange(3000), kind="HNSW8")


def test_an_infinite_row_comes_first_in_faiss(tmp_path):
    vectors = clustered(1000)
    vectors[7, 0] = np.inf
    raw = faiss.IndexFlatIP(32)
    raw.add(vectors)
    queries = clustered(50, seed=1)
    assert (raw.search(queries[queries[:, 0] > 0], 1)[1] == 7).all()
    assert "the id 7" in refused(tmp_path, vectors)
    assert "the id 7" in refused(tmp_path, vectors, metric="l2")


def test_an_id_twice_is_taken_by_faiss(tmp_path):
    vectors, ids = clustered(1000), IDS.copy()
    ids[900] = 5
    raw = faiss.IndexIDMap(faiss.IndexFlatIP(32))
    raw.add_with_ids(vectors, ids)
    assert {5} == set(raw.search(vectors[[5, 900]], 1)[1].reshape(-1).tolist())
    assert "id 5 comes 2 times" in refused(tmp_path, vectors, ids)


def test_a_bare_ivf_gives_a_living_id_away_again():
    raw = faiss.index_factory(32, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
    vectors = clustered(1000)
    raw.train(vectors)
    raw.add(vectors)
    raw.remove_ids(np.arange(10))
    raw.add(clustered(1, seed=3))
    raw.nprobe = 4
    assert (raw.search(np.concatenate([clustered(1, seed=3), vectors[990:991]]), 1)[1] == 990).all()


def test_short_answers_are_padded_by_faiss(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "FEW_ROWS", 0)  # through the lists, as in a large index
    vectors = clustered(1000)
    build_segment("IVF64,Flat", blocks_of(IDS, vectors), 1000, 32, "cosine", tmp_path / "a.faiss")
    raw = faiss.read_index(str(tmp_path / "a.faiss"))
    assert (raw.search(vectors[:5], 500)[1] == -1).any()
    searcher = Searcher([tmp_path / "a.faiss"], 32, "cosine", np.empty(0), IDS, settings={"nprobe": 1})
    _, ids = searcher.search(vectors[:5], 500)
    assert ids.shape == (5, 500)
    assert all(len(set(row)) == 500 for row in ids.tolist())


def test_a_graph_that_does_not_lead_to_all_gives_fewer_and_no_wrong_ids(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "FEW_ROWS", 0)
    monkeypatch.setitem(segments.THOROUGH, "efSearch", 1)
    vectors = clustered(1000)
    build_segment("PCA16,HNSW4", blocks_of(IDS, vectors), 1000, 32, "cosine", tmp_path / "a.faiss")
    searcher = Searcher([tmp_path / "a.faiss"], 32, "cosine", np.empty(0), IDS, settings={"efSearch": 1})
    allowed = IDS[::50]
    _, ids = searcher.search(vectors[:40], 20, allowed)
    assert ids.shape[1] < 20
    assert np.isin(ids, allowed).all()


@pytest.mark.parametrize("kind", ["HNSW8", "IVF4,PQ16x4fs,RFlat"])
def test_faiss_cannot_remove_from_these_kinds_and_tombstones_do(tmp_path, kind):
    vectors = clustered(1000)
    build_segment(kind, blocks_of(IDS, vectors), 1000, 32, "cosine", tmp_path / "a.faiss")
    with pytest.raises(RuntimeError):
        faiss.read_index(str(tmp_path / "a.faiss")).remove_ids(IDS[:10])
    searcher = Searcher([tmp_path / "a.faiss"], 32, "cosine", IDS[:500], IDS)
    assert searcher.search(vectors[:500], 10)[1].min() >= 500


def test_a_wrong_dimension_is_an_error_with_words(tmp_path):
    with pytest.raises(AssertionError):
        faiss.IndexFlatIP(31).add(clustered(10))
    assert "must have the shape (items, 32)" in refused(tmp_path, clustered(1000, dim=31))


def test_rows_not_of_unit_length_are_refused_with_cosine(tmp_path):
    vectors = clustered(1000)
    vectors[3] *= 2
    assert "the row of id 3 has the length 2" in refused(tmp_path, vectors)
    vectors[3] = 0
    assert "the row of id 3 has the length 0" in refused(tmp_path, vectors)


def test_other_numbers_of_rows_than_announced_are_refused(tmp_path):
    assert "1001 rows were announced and 1000 came" in refused(tmp_path, clustered(1000), count=1001)
    assert "1001 rows were announced and 1000 came" in refused(tmp_path, clustered(1000), count=1001, kind="IVF4,Flat")


def test_ids_that_are_none_are_refused(tmp_path):
    assert "ids must be 0 or more" in refused(tmp_path, clustered(1000), IDS - 1)
    assert "integer ids" in refused(tmp_path, clustered(1000), IDS.astype(float))


@pytest.mark.parametrize("factory", ["", "Flatt", "IVF0,Flat", "PQ5x4fs", "IVF16,PQ7", "LSH", "IVF99999999999,Flat"])
def test_a_wrong_factory_string_is_one_line(factory):
    with pytest.raises(InvalidInput) as found:
        explain(factory, 1000, 32, "cosine")
    assert "\n" not in str(found.value)
    assert repr(factory) in str(found.value)


@pytest.mark.parametrize("factory", ["PQ16", "PQ16x4fs", "PQ16x4fs,RFlat", "NSG16", "LSHr"])
def test_kinds_whose_search_cannot_leave_ids_out_are_refused(factory):
    with pytest.raises(InvalidInput, match="deleted items would be found"):
        explain(factory, 1000, 32, "l2")


def test_a_factory_that_numbers_rows_is_refused():
    with pytest.raises(InvalidInput, match="leave IDMap out"):
        explain("IDMap,Flat", 1000, 32, "cosine")


def test_too_few_vectors_to_train_are_told(tmp_path):
    message = refused(tmp_path, clustered(10), np.arange(10), kind="IVF64,Flat")
    assert message.startswith("10 vectors are too few to train such an index")


def test_an_empty_segment_of_another_kind_takes_no_more(tmp_path):
    vectors = clustered(1000)
    build_segment("IVF4,Flat", blocks_of(IDS, vectors), 1000, 32, "cosine", tmp_path / "a.faiss")
    with pytest.raises(InvalidInput, match="can't be added by its quantiser"):
        build_segment("HNSW8", blocks_of(IDS, vectors), 1000, 32, "cosine", tmp_path / "b", like=tmp_path / "a.faiss")


@pytest.mark.parametrize("kind", ["IVF16,PQ8x4fs,RFlat", "IVF16,PQ8x4fs", "IVF16,SQ8", "IVF16,RaBitQfs,RFlat",
                                  "IVF16,SQ8,Refine(SQ8)", "IVF16_HNSW8,Flat", "PCA8,IVF16,SQ8", "SQ8"])  # fmt: skip
def test_a_segment_is_emptied_of_its_rows_alone(tmp_path, kind) -> None:
    """What is filled again with the same rows is the same file, to the last byte."""
    rng = np.random.default_rng(0)
    vectors, ids = rng.normal(size=(700, 16)).astype(np.float32), np.sort(rng.permutation(5000)[:700])

    def blocks():
        yield ids, vectors

    build_segment(kind, blocks, 700, 16, "l2", tmp_path / "first.faiss")
    build_segment(kind, blocks, 700, 16, "l2", tmp_path / "again.faiss", like=tmp_path / "first.faiss")
    assert (tmp_path / "first.faiss").read_bytes() == (tmp_path / "again.faiss").read_bytes()
    with pytest.raises(InvalidInput, match="new vectors can't be added by its quantiser"):
        build_segment("Flat", blocks, 700, 16, "l2", tmp_path / "other.faiss", like=tmp_path / "first.faiss")
