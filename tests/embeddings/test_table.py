"""The embedding table: its checks, selection, saving and joining."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewshot.datasets import Grouping
from fewshot.embeddings import EmbeddingTable, concatenate
from fewshot.errors import FingerprintMismatch, InvalidInput, UnknownName, UnreadableFile


def make_table(items: int = 12, prefix: str = "", **changes) -> EmbeddingTable:
    numbers = torch.arange(items)
    parts = {
        "features": torch.randn(items, 4, generator=torch.Generator().manual_seed(0)),
        "labels": numbers % 3,
        "class_names": ("ant", "bee", "cow"),
        "ids": tuple(f"{prefix}{number}" for number in range(items)),
        "groups": {"domain": Grouping(numbers // (items // 2), ("photo", "sketch"))},
        "backbone": "b1",
        "dataset": "d1",
        "provenance": {"backbone": {"name": "net"}, "dataset": {"name": "zoo", "split": "all"}},
    }
    return EmbeddingTable(**parts | changes)


def assert_same(a: EmbeddingTable, b: EmbeddingTable) -> None:
    assert torch.equal(a.features, b.features)
    assert torch.equal(a.labels, b.labels)
    assert (a.class_names, a.ids, a.backbone, a.dataset) == (b.class_names, b.ids, b.backbone, b.dataset)
    assert a.groups.keys() == b.groups.keys()
    for name in a.groups:
        assert torch.equal(a.groups[name].codes, b.groups[name].codes)
        assert a.groups[name].names == b.groups[name].names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": torch.zeros(12)},
            r"features must be a float tensor \(items, dim\), found float32 of shape \(12,\)",
        ),
        ({"features": torch.zeros(12, 4, dtype=torch.int64)}, "found int64"),
        ({"labels": torch.zeros(11, dtype=torch.int64)}, r"labels must be int64 of shape \(12,\)"),
        ({"labels": torch.full((12,), 3)}, r"labels must lie in \[0, 3\)"),
        ({"ids": ("a",)}, "12 features need 12 ids, found 1"),
        ({"groups": {"font": Grouping(torch.zeros(3, dtype=torch.int64), ("a",))}}, "group 'font' must tell 12 items"),
    ],
)
def test_parts_that_do_not_fit(changes, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        make_table(**changes)


def test_select_by_group_and_class() -> None:
    table = make_table()
    chosen = table.select(where={"domain": "sketch"}, classes=["cow", "ant"])
    assert chosen.ids == ("6", "8", "9", "11")
    assert chosen.labels.tolist() == [1, 0, 1, 0]
    assert chosen.class_names == ("cow", "ant")
    assert torch.equal(chosen.features, table.features[[6, 8, 9, 11]])
    assert chosen.groups["domain"].codes.tolist() == [1, 1, 1, 1]
    assert chosen.fingerprint != table.fingerprint


@given(st.lists(st.integers(-12, 11), max_size=20))
def test_select_by_index_is_plain_indexing(indices) -> None:
    table = make_table()
    chosen = table.select(indices=indices)
    assert torch.equal(chosen.features, table.features[torch.tensor(indices, dtype=torch.int64)])
    assert chosen.ids == tuple(table.ids[index] for index in indices)


def test_select_names_what_is_not_there() -> None:
    table = make_table()
    with pytest.raises(UnknownName, match="no class of zoo is called 'bees'; near: bee"):
        table.select(classes=["bees"])
    with pytest.raises(UnknownName, match="no group of zoo is called 'font'; near: domain"):
        table.select(where={"font": "serif"})
    with pytest.raises(UnknownName, match="no domain of zoo is called 'foto'; near: photo"):
        table.select(where={"domain": "foto"})
    with pytest.raises(InvalidInput, match="index 12 is outside the 12 items"):
        table.select(indices=[12])


def test_save_and_load(tmp_path) -> None:
    table = make_table()
    table.save(tmp_path / "zoo")
    assert_same(EmbeddingTable.load(tmp_path / "zoo"), table)
    assert EmbeddingTable.load(tmp_path / "zoo").provenance == table.provenance


def test_loaded_features_are_memory_mapped(tmp_path) -> None:
    make_table(features=torch.zeros(12, 250_000)).save(tmp_path / "big")
    before = resident()
    table = EmbeddingTable.load(tmp_path / "big")
    assert resident() - before < 4_000_000
    assert table.features[7].sum() == 0


def resident() -> int:
    """Bytes of private memory of this process (mapped files apart)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def test_load_refuses_what_is_no_table(tmp_path) -> None:
    with pytest.raises(UnreadableFile, match=r"is not an embedding table: it has no table\.json"):
        EmbeddingTable.load(tmp_path)


@pytest.mark.parametrize("name", ["features.safetensors", "items.parquet"])
def test_load_refuses_a_cut_file(tmp_path, name) -> None:
    make_table().save(tmp_path / "zoo")
    path = tmp_path / "zoo" / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UnreadableFile, match=f"{name} should have .* bytes, found"):
        EmbeddingTable.load(tmp_path / "zoo")


@pytest.mark.parametrize("name", ["features.safetensors", "items.parquet"])
def test_load_refuses_garbage_of_the_right_size(tmp_path, name) -> None:
    make_table().save(tmp_path / "zoo")
    path = tmp_path / "zoo" / name
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(UnreadableFile, match="is damaged"):
        EmbeddingTable.load(tmp_path / "zoo")


def test_load_refuses_a_later_version(tmp_path) -> None:
    make_table().save(tmp_path / "zoo")
    manifest = tmp_path / "zoo" / "table.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"version": 99}))
    with pytest.raises(UnreadableFile, match="is of version 99"):
        EmbeddingTable.load(tmp_path / "zoo")


def test_concatenate_joins_classes_by_name() -> None:
    first = make_table()
    second = make_table(prefix="x", class_names=("cow", "dog", "bee"))
    joined = concatenate([first, second])
    assert joined.class_names == ("ant", "bee", "cow", "dog")
    assert joined.labels[12:15].tolist() == [2, 3, 1]
    assert len(joined) == 24
    assert joined.groups["domain"].codes.tolist() == first.groups["domain"].codes.tolist() * 2


def test_concatenate_refuses_other_backbones_and_repeated_ids() -> None:
    table = make_table()
    with pytest.raises(FingerprintMismatch, match=r"different backbones do not mix: net \(b1\) and net \(b2\)"):
        concatenate([table, replace(table, backbone="b2")])
    with pytest.raises(InvalidInput, match="id '0' occurs in two of the tables"):
        concatenate([table, table])
    with pytest.raises(InvalidInput, match="at least one table"):
        concatenate([])
