"""Leaving: every item that is not deleted arrives with its id, vector and columns, and is found as by exact search."""

import json
import os

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from fewshot import EmbeddingTable, Index
from fewshot.errors import FewshotError, InvalidInput, MissingPackage, UnknownName, UnwritableFile
from fewshot.retrieval.engine import exact_search
from fewshot.retrieval.exports import export
from fewshot.retrieval.exports.leaving import Leaving
from fewshot.retrieval.sources import VectorSource, open_source
from fewshot.retrieval.sources.vectors import UNKNOWN

K = 10


@pytest.fixture
def queries(index) -> np.ndarray:
    """Fresh ones, of unit length with cosine."""
    drawn = np.random.default_rng(7).normal(size=(20, index.manifest.dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True) if index.manifest.metric == "cosine" else drawn


def check_found(index: Index, queries: np.ndarray, found: list[list[int]]) -> None:
    """Ids of the nearest ten, in order, as exact search has them; equal scores may change places."""
    told = index.snapshot
    ids, _ = exact_search(told.blocks, queries, K, index.manifest.metric)
    for query, wanted, got in zip(queries, ids, found, strict=True):
        assert len(set(got)) == K
        assert np.allclose(_scores(index, query, np.array(got)), _scores(index, query, wanted), atol=1e-6)


def _scores(index: Index, query: np.ndarray, ids: np.ndarray) -> np.ndarray:
    vectors = index.vectors(ids).astype(np.float64)
    return ((vectors - query) ** 2).sum(1) if index.manifest.metric == "l2" else vectors @ query.astype(np.float64)


def living(index: Index) -> pyarrow.Table:
    return index.snapshot.table().filter(index.snapshot.alive)


def test_lancedb(index, queries, tmp_path) -> None:
    lancedb = pytest.importorskip("lancedb")
    exported = index.export("lancedb", tmp_path / "db", progress=False)
    assert (exported.rows, exported.dim, exported.name) == (len(index), 16, "items")
    table = lancedb.connect(tmp_path / "db").open_table("items")
    metric = {"cosine": "cosine", "inner-product": "dot", "l2": "l2"}[index.manifest.metric]
    found = [table.search(query).distance_type(metric).limit(K).to_arrow()["id"].to_pylist() for query in queries]
    check_found(index, queries, found)
    arrived, wanted = table.to_arrow().sort_by("id"), living(index)
    vectors = arrived["vector"].combine_chunks().flatten().to_numpy().reshape(-1, 16)
    assert np.array_equal(vectors, index.vectors(arrived["id"].to_numpy()))
    for name in wanted.column_names:
        assert arrived["source_vector" if name == "vector" else name].to_pylist() == wanted[name].to_pylist(), name
    assert json.loads(table.schema.metadata[b"fewshot"])["backbone"]["fingerprint"] == "feedface"


@pytest.mark.parametrize("index", ["cosine"], indirect=True)
def test_lancedb_replaces_when_told_and_leaves_nothing_half(index, tmp_path, monkeypatch) -> None:
    lancedb = pytest.importorskip("lancedb")
    target = tmp_path / "db"
    first = index.export("lancedb", target, progress=False).rows
    with pytest.raises(InvalidInput, match=r"has a table 'items' already; .*--replace"):
        index.export("lancedb", target, progress=False)
    index.export("lancedb", target, name="others", progress=False)
    assert index.export("lancedb", target, replace=True, progress=False).rows == first
    monkeypatch.setattr(Leaving, "blocks", _fails_later(Leaving.blocks))
    for how in ({"replace": True}, {"name": "half"}):
        with pytest.raises(UnwritableFile, match="no more"):
            index.export("lancedb", target, progress=False, **how)
    database = lancedb.connect(target)
    assert sorted(database.list_tables().tables) == ["items", "others"]
    assert database.open_table("items").count_rows() == first
    for wrong in ("nonsense://x", "/proc/nowhere"):
        with pytest.raises(UnwritableFile) as error:
            index.export("lancedb", wrong, progress=False)
        assert "\n" not in str(error.value)
        assert wrong in str(error.value)


def _fails_later(blocks):
    def some(self, size=100):
        for number, block in enumerate(blocks(self, size)):
            if number == 2:
                raise OSError("no more")
            yield block

    return some


def test_pgvector(index, queries, postgres) -> None:
    psycopg = pytest.importorskip("psycopg")
    from pgvector.psycopg import register_vector

    name = f"photos_{index.manifest.metric.replace('-', '_')}"
    exported = index.export("pgvector", postgres, name=name, progress=False)
    assert exported.rows == len(index)
    operator = {"cosine": "<=>", "inner-product": "<#>", "l2": "<->"}[index.manifest.metric]
    assert operator in exported.search
    with psycopg.connect(postgres) as connection:
        register_vector(connection)
        found = [
            [row[0] for row in connection.execute(exported.search.replace("'[...]'", "%s"), [query])]
            for query in queries
        ]
        check_found(index, queries, found)
        cursor = connection.execute(f"SELECT * FROM {name} ORDER BY id")
        heads = [column.name for column in cursor.description]
        arrived, wanted = dict(zip(heads, zip(*cursor, strict=True), strict=True)), living(index)
        assert np.array_equal(np.stack([v.to_numpy() if hasattr(v, "to_numpy") else v for v in arrived["embedding"]]),
                              index.vectors(np.array(arrived["id"])))  # fmt: skip
        for column in wanted.column_names:
            values = wanted[column]
            if column == "at":
                values = values.cast(pyarrow.timestamp("us", "UTC"), safe=False)
            assert list(arrived[column]) == values.to_pylist(), column
        told = connection.execute("SELECT obj_description(%s::regclass)", [name]).fetchone()[0]
    assert json.loads(told)["metric"] == index.manifest.metric


@pytest.mark.parametrize("index", ["cosine"], indirect=True)
def test_pgvector_replaces_when_told_and_leaves_nothing_half(index, queries, postgres, monkeypatch) -> None:
    psycopg = pytest.importorskip("psycopg")
    name = f"public.again_{index.manifest.metric.replace('-', '_')}"
    first = index.export("pgvector", postgres, name=name, progress=False).rows
    with pytest.raises(InvalidInput, match=r"has a table .* already; .*--replace"):
        index.export("pgvector", postgres, name=name, progress=False)
    exported = index.export("pgvector", postgres, name=name, replace=True, ann=True, progress=False)
    assert exported.rows == first
    with psycopg.connect(postgres) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute("EXPLAIN " + exported.search.replace("[...]", str(queries[0].tolist()))).fetchall()
        assert "Index Scan" in str(plan)
    monkeypatch.setattr(Leaving, "blocks", _fails_later(Leaving.blocks))
    for how in ({"replace": True, "name": name}, {"name": "half"}):
        with pytest.raises(OSError, match="no more"):
            index.export("pgvector", postgres, progress=False, **how)
    with psycopg.connect(postgres) as connection:
        assert connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] == first
        tables = connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname !~ '^(pg_|sql_)'")
        assert not any("half" in name or "being_written" in name for (name,) in tables)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("postgresql://me:secret@127.0.0.1:1/photos", "127.0.0.1"),
        ("postgresql://me:secret@/photos?host=/nowhere/at/all", "/nowhere/at/all"),
        ("mysql://me:secret@host/photos", "no address of a PostgreSQL database"),
        ("not an address", "no address of a PostgreSQL database"),
    ],
)
def test_a_server_that_cannot_be_reached_is_told_in_one_line(tmp_path, target, told) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pgvector")
    made = Index.build(np.random.default_rng(0).normal(size=(20, 4)), tmp_path / "index", progress=False)
    with pytest.raises(FewshotError, match=told) as error:
        made.export("pgvector", target, progress=False)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)


def test_what_a_database_cannot_hold(tmp_path, postgres) -> None:
    wide = Index.build(np.random.default_rng(0).normal(size=(20, 2001)), tmp_path / "wide", progress=False)
    with pytest.raises(InvalidInput, match="pgvector indexes at most 2,000 values a vector, found 2,001"):
        wide.export("pgvector", postgres, ann=True, progress=False)
    rows = pyarrow.table({"path": ["a", "b"], "said": ["a\0b", "c"]})
    vectors = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    source = VectorSource("odd", lambda start, stop: vectors[start:stop], 4, ["a", "b"], [None] * 2, rows, {}, UNKNOWN)
    odd = Index.build(source, tmp_path / "odd", progress=False)
    with pytest.raises(InvalidInput, match="NUL character"):
        odd.export("pgvector", postgres, name="odd", progress=False)


@pytest.mark.parametrize("index", ["cosine"], indirect=True)
def test_clip_retrieval_and_back(index, tmp_path) -> None:
    target = tmp_path / "out"
    index.export("clip-retrieval", target, progress=False)
    assert sorted(os.listdir(target)) == ["img_emb", "metadata"]
    vectors = np.load(target / "img_emb" / "img_emb_0.npy")
    rows, wanted = parquet.read_table(target / "metadata" / "metadata_0.parquet"), living(index)
    assert np.array_equal(vectors, index.vectors(rows["id"].to_numpy()))
    assert rows["key"].to_pylist() == wanted["key"].to_pylist()
    assert json.loads(rows.schema.metadata[b"fewshot"])["dim"] == 16
    made = index.manifest.backbone
    assert open_source(target).backbone == {"name": made["name"], "fingerprint": made["fingerprint"], "describe": {}}
    back = Index.build(target, tmp_path / "back", metric=index.manifest.metric, progress=False)
    there = back.snapshot.table()
    for name in ("key", "label", *index.manifest.columns):
        assert there[name].to_pylist() == wanted[name].to_pylist(), name
    assert there["source_id"].to_pylist() == wanted["id"].to_pylist()
    assert np.allclose(back.snapshot.vectors(np.arange(len(back))), vectors, atol=1e-7)
    with pytest.raises(InvalidInput, match="exists already"):
        index.export("clip-retrieval", target, progress=False)
    index.export("clip-retrieval", target, replace=True, progress=False)
    (target / "mine.txt").write_text("x")
    with pytest.raises(InvalidInput, match="exists already"):
        index.export("clip-retrieval", target, replace=True, progress=False)
    assert (target / "mine.txt").read_text() == "x"


@pytest.mark.parametrize("index", ["cosine"], indirect=True)
def test_clip_retrieval_in_many_files(index, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fewshot.retrieval.exports.to_clip_retrieval.PART", 30)
    index.export("clip-retrieval", tmp_path / "out", progress=False)
    names = sorted(os.listdir(tmp_path / "out" / "img_emb"))
    assert names == [f"img_emb_{number:02}.npy" for number in range(12)]
    back = Index.build(tmp_path / "out", tmp_path / "back", metric=index.manifest.metric, progress=False)
    assert back.snapshot.column("key").to_pylist() == living(index)["key"].to_pylist()
    assert back.snapshot.column("year").to_pylist() == living(index)["year"].to_pylist()


class Colours:
    """A made-up backbone: the mean colour of a picture, as nine values."""

    name, dim, fingerprint, text = "colours", 9, "c0105", None

    def describe(self) -> dict:
        return {"name": self.name}

    def preprocess(self, image) -> torch.Tensor:
        return torch.from_numpy(np.asarray(image.convert("RGB").resize((8, 8)), np.float32) / 255).permute(2, 0, 1)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean((2, 3))
        return torch.cat([mean, mean**2, 1 - mean], 1)


def test_pictures_go_as_clip_retrieval_names_them(tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(6):
        Image.new("RGB", (8, 8), (40 * number, 10, 100)).save(tmp_path / "photos" / f"{number}.png")
    made = Index.build(tmp_path / "photos", tmp_path / "index", Colours(), workers=0, progress=False)
    made.export("clip-retrieval", tmp_path / "out", progress=False)
    rows = parquet.read_table(tmp_path / "out" / "metadata" / "metadata_0.parquet")
    assert rows["image_path"].to_pylist() == [f"{number}.png" for number in range(6)]
    assert Index.build(tmp_path / "out", tmp_path / "back", progress=False).snapshot.keys(np.arange(6))[3] == "3.png"


@pytest.mark.parametrize("count", [3, 12])
def test_what_clip_retrieval_and_autofaiss_have_written(tmp_path, count) -> None:
    """Half precision, numbers padded with zeros, metadata in parquet, and their index beside it."""
    faiss = pytest.importorskip("faiss")
    drawn = np.random.default_rng(0).normal(size=(count * 10, 8)).astype(np.float16)
    for place in ("img_emb", "text_emb", "metadata"):
        (tmp_path / place).mkdir()
    for part in range(count):
        mine = range(part * 10, part * 10 + 10)
        number = str(part).zfill(len(str(count)))
        np.save(tmp_path / "img_emb" / f"img_emb_{number}.npy", drawn[mine])
        np.save(tmp_path / "text_emb" / f"text_emb_{number}.npy", -drawn[mine])
        told = {"image_path": [f"/d/{n}.jpg" for n in mine], "caption": [f"no. {n}" for n in mine], "width": list(mine)}
        parquet.write_table(pyarrow.table(told), tmp_path / "metadata" / f"metadata_{number}.parquet")
    other = faiss.index_factory(8, "HNSW15", faiss.METRIC_INNER_PRODUCT)
    other.add(drawn.astype(np.float32))
    faiss.write_index(other, str(tmp_path / "image.index"))
    made = Index.build(tmp_path, tmp_path.parent / f"index-{count}", progress=False)
    rows = made.snapshot.table()
    assert rows["key"].to_pylist() == [f"/d/{n}.jpg" for n in range(count * 10)]
    assert rows["caption"].to_pylist() == [f"no. {n}" for n in range(count * 10)]
    assert rows["width"].to_pylist() == list(range(count * 10))
    wanted = drawn.astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert np.allclose(made.snapshot.vectors(np.arange(count * 10)), wanted, atol=1e-6)


@pytest.mark.parametrize("index", ["cosine"], indirect=True)
def test_table(index, tmp_path) -> None:
    index.export("table", tmp_path / "table", progress=False)
    table, wanted = EmbeddingTable.load(tmp_path / "table"), living(index)
    assert list(table.ids) == wanted["key"].to_pylist()
    assert np.array_equal(table.features.numpy(), index.vectors(wanted["id"].to_numpy()))
    named = [table.class_names[label] for label in table.labels.tolist()]
    assert named == [label or "unlabelled" for label in wanted["label"].to_pylist()]
    year = table.groups["year"]
    assert [int(year.names[code]) for code in year.codes.tolist()] == wanted["year"].to_pylist()
    assert (table.backbone, table.provenance["backbone"]["name"]) == ("feedface", "made-up")
    with pytest.raises(InvalidInput, match="exists already"):
        index.export("table", tmp_path / "table", progress=False)
    index.export("table", tmp_path / "table", replace=True, progress=False)


def test_bad_input(tmp_path, monkeypatch) -> None:
    made = Index.build(np.random.default_rng(0).normal(size=(20, 4)), tmp_path / "index", progress=False)
    with pytest.raises(UnknownName, match="no kind of export is called 'lancdb'; near: lancedb"):
        made.export("lancdb", tmp_path / "out")
    made.delete(ids=list(range(20)))
    with pytest.raises(InvalidInput, match="has no items"):
        export(tmp_path / "index", "table", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for package, kind in (("lancedb", "lancedb"), ("psycopg", "pgvector")):
        other = Index.build(np.eye(4, dtype=np.float32), tmp_path / kind, progress=False)
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(MissingPackage, match=rf"pip install 'fewshot\[{kind}\]'"):
            other.export(kind, tmp_path / "out")


def test_the_command(tmp_path) -> None:
    from click.testing import CliRunner

    from fewshot.cli import main

    Index.build(np.random.default_rng(0).normal(size=(20, 4)), tmp_path / "index", progress=False)
    arguments = ["index", "export", str(tmp_path / "index"), "table", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(main, arguments)
    assert json.loads(done.output)["rows"] == 20
    assert "fewshot: " not in done.output
    assert len(EmbeddingTable.load(tmp_path / "out")) == 20
