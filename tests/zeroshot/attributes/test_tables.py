import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput, MissingData, UnknownName, UnreadableFile
from fewshot.zeroshot.attributes import list_attribute_tables, load_attributes, read_attributes

SHAPES = {
    "awa1": (50, 85, 40, 10),
    "awa2": (50, 85, 40, 10),
    "cub": (200, 312, 150, 50),
    "sun": (717, 102, 645, 72),
    "apy": (32, 64, 20, 12),
}


@pytest.mark.parametrize("name", list_attribute_tables())
def test_published_tables_are_whole(name, shared_data):
    table = load_attributes(name)
    classes, attributes, seen, unseen = SHAPES[name]
    assert table.attributes.shape == table.original.shape == (classes, attributes)
    assert len(set(table.class_names)) == classes
    assert len(table.attribute_names) in (0, attributes)
    splits = {key: set(rows.tolist()) for key, rows in table.splits.items()}
    assert (len(splits["seen"]), len(splits["unseen"])) == (seen, unseen)
    assert splits["seen"] | splits["unseen"] == set(range(classes))
    for number in "123":
        train, val = splits[f"train{number}"], splits[f"val{number}"]
        assert train | val == splits["seen"]
        assert not train & val
    torch.testing.assert_close(table.attributes.norm(dim=1), torch.ones(classes), atol=1e-4, rtol=0)
    assert set(table.binary().unique().tolist()) == {0, 1}


def test_missing_values_of_awa_are_told_and_the_scaled_row_took_them_for_minus_one(shared_data):
    table = load_attributes("awa2")
    assert table.original.isnan().nonzero().tolist() == [[0, column] for column in range(4)]
    published = table.original.nan_to_num(-1)
    torch.testing.assert_close(table.attributes, published / published.norm(dim=1, keepdim=True), atol=1e-5, rtol=0)
    assert load_attributes("awa1").original.isnan().sum() == 4


def test_known_rows(shared_data):
    table = load_attributes("awa2")
    zebra = dict(zip(table.attribute_names, table.binary()[table.rows(["zebra"])][0].tolist(), strict=True))
    assert (zebra["stripes"], zebra["hooves"], zebra["flys"]) == (1, 1, 0)


def test_threshold_where_there_is_no_binary_table(shared_data):
    table = load_attributes("sun")
    np.testing.assert_array_equal(table.binary(), table.original.numpy() > table.original.numpy().mean())


def test_absent_and_unknown_tables_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="the attribute table awa2 is not at .*zsl_attributes/awa2.npz; set FEWSHOT"):
        load_attributes("awa2")
    with pytest.raises(UnknownName, match="no attribute table is called 'awa'; near: awa"):
        load_attributes("awa")


def written(tmp_path, text):
    path = tmp_path / "own.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_own_table(tmp_path):
    table = read_attributes(written(tmp_path, "class,stripes,size\nzebra, 1, 0.5\n\ncow,0,0.7\n"))
    assert table.class_names == ("zebra", "cow")
    assert table.attribute_names == ("stripes", "size")
    torch.testing.assert_close(table.of(["cow", "zebra"]), torch.tensor([[0, 0.7], [1, 0.5]]))
    with pytest.raises(InvalidInput, match="2 of 3 classes have no row of attributes: 'zebr' \\(near: zebra\\); 'ox'"):
        table.of(["zebr", "cow", "ox"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,a\nx,1\nx,2\n", "line 3: the class 'x' occurs twice"),
        ("class,a,b\nx,1,2\ny,3\n", "line 3: 'y' needs 2 values, found 1"),
        ("class,a,b\nx,1,\ny,3,4\n", "line 2: 'b' of 'x' must be a finite number, found 'nothing'"),
        ("class,a,b\nx,1,nan\ny,3,4\n", "line 2: 'b' of 'x' must be a finite number, found 'nan'"),
        ("class,a,b\nx,1,2\ny,1,3\n", "the same in every class, so it tells none apart: 'a'; leave it out"),
        ("class,a,a\nx,1,2\n", "the attribute 'a' occurs twice"),
        ("class\nx\n", "found 1 rows and 0 attributes"),
        ("", "found 0 rows and 0 attributes"),
    ],
)
def test_faults_of_own_tables_are_told(tmp_path, text, message):
    with pytest.raises(InvalidInput, match=message):
        read_attributes(written(tmp_path, text))


def test_unreadable_own_tables_are_told(tmp_path):
    with pytest.raises(UnreadableFile, match="cannot be read: Is a directory"):
        read_attributes(tmp_path)
    with pytest.raises(UnreadableFile, match="none.csv does not exist"):
        read_attributes(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFile, match="bytes.csv is not a CSV in UTF-8"):
        read_attributes(tmp_path / "bytes.csv")
