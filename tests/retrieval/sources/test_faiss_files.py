"""FAISS files of others as sources: the very vectors that were added, in their order, or a refusal."""

import faiss
import numpy as np
import pytest

from fewshot import Index
from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.retrieval.sources import open_source, reopen_source

VECTORS = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)
IDS = np.random.default_rng(1).permutation(10_000)[:600]


def write(path, factory: str, ids=None) -> None:
    index = faiss.index_factory(16, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(VECTORS)
    if ids is None:
        index.add(VECTORS)
    else:
        index = faiss.IndexIDMap(index) if not factory.startswith("IVF") else index
        index.add_with_ids(VECTORS, ids)
    faiss.write_index(index, str(path))


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF8,Flat", "IVF8,SQ8,RFlat"])
def test_vectors_come_out_as_they_went_in(tmp_path, factory) -> None:
    write(tmp_path / "knn.index", factory)
    for given in (tmp_path, tmp_path / "knn.index"):  # as autofaiss leaves it: a folder with this file
        source = open_source(given)
        assert list(source.keys) == [str(row) for row in range(600)]
        assert np.array_equal(source.take(np.arange(600)), VECTORS)
        assert np.array_equal(source.take(np.array([3, 599])), VECTORS[[3, 599]])
    assert np.array_equal(reopen_source(source.described).take(np.arange(600)), VECTORS)


@pytest.mark.parametrize("factory", ["Flat", "IVF8,Flat"])
def test_ids_of_their_own_are_keys(tmp_path, factory) -> None:
    write(tmp_path / "some.faiss", factory, IDS)
    source = open_source(tmp_path / "some.faiss")
    found = dict(zip(source.keys, source.take(np.arange(600)), strict=True))
    for number, vector in zip(IDS.tolist(), VECTORS, strict=True):
        assert np.array_equal(found[str(number)], vector)


def test_built_anew_it_finds_the_same(tmp_path) -> None:
    write(tmp_path / "knn.index", "HNSW8")
    index = Index.build(tmp_path, tmp_path / "ours", metric="inner-product", progress=False)
    exact = (VECTORS[:20] @ VECTORS.T).argsort(1)[:, ::-1][:, :5]
    assert index.search(VECTORS[:20], 5).keys == [[str(row) for row in rows] for rows in exact]


@pytest.mark.parametrize("factory", ["SQ8", "IVF8,PQ4x4"])
def test_codes_alone_are_refused(tmp_path, factory) -> None:
    write(tmp_path / "knn.index", factory)
    with pytest.raises(InvalidInput, match=r"keeps codes and not the vectors themselves; build from the vectors"):
        open_source(tmp_path)


def test_what_is_no_index_is_refused(tmp_path) -> None:
    (tmp_path / "knn.index").write_bytes(b"not one")
    with pytest.raises(UnreadableFile, match=r"knn\.index is not a readable FAISS index"):
        open_source(tmp_path)
