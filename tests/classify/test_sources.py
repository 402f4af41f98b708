import json

import numpy as np
import pytest
from PIL import Image

from fewshot.classify.sources import Source, find_items, find_pictures, read_descriptions, read_source, read_texts
from fewshot.errors import BrokenImages, InvalidInput, MissingData, UnreadableFile


@pytest.fixture
def photos(tmp_path):
    for name in ("cat", "dog"):
        for number in range(2):
            path = tmp_path / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), len(list(path.parent.iterdir())) * 9 + len(name), np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_a_folder(photos):
    source = read_source(str(photos))
    assert source.names == ["cat", "cat", "dog", "dog"]
    assert len(source.items) == 4
    assert not source.texts
    assert source.shots == 2


def test_the_shots_of_unequal_classes_are_the_lower_median():
    names = ["cat"] * 9 + ["dog"] * 5 + ["elk"] * 2 + ["fox"]
    assert Source(names, names).shots == 2
    assert Source(None, names).shots == 0


def test_a_class_without_an_image_is_named(photos, write):
    (photos / "fox").mkdir()
    with pytest.raises(InvalidInput, match=r"photos: the class fox has no image; put one or more into the folder"):
        read_source(str(photos))
    (photos / "elk").mkdir()
    (photos / "elk" / "notes.md").write_text("to come")
    (photos / ".hidden").mkdir()
    with pytest.raises(
        InvalidInput, match=r"photos: the classes elk, fox have no image; .* each folder, or remove them"
    ):
        read_source(str(photos))


def test_files_that_are_no_pictures_are_all_named(photos):
    (photos / "cat" / "0.png").write_bytes(b"")
    (photos / "dog" / "1.png").write_text("no picture")
    with pytest.raises(BrokenImages, match=r"cannot be read: cat/0.png, dog/1.png; .* take them out of the folder"):
        read_source(str(photos))


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingData, match="empty has no class folders; give a folder with a subfolder"):
        read_source(str(tmp_path / "empty"))
    with pytest.raises(MissingData, match="photoz does not exist; give a folder"):
        read_source("photoz")
    with pytest.raises(MissingData, match=r"reviews.csv does not exist"):
        read_source("reviews.csv")
    with pytest.raises(MissingData, match="does not exist"):
        find_pictures(["a" * 300])


def test_names(write):
    assert read_source("cat, dog,fox").names == ["cat", "dog", "fox"]
    assert read_source(str(write("names.txt", "cat\n\nred fox\r\n"))).names == ["cat", "red fox"]
    assert read_source("a,b").items is None
    many = [f"class number {number}" for number in range(60)]  # longer than a file name can be
    assert read_source(",".join(many)).names == many


def test_texts(write):
    path = write("reviews.csv", '\ufefflabel,text,stars\ngood,"fine, warm\nsoup",5\nbad,cold soup,1\n')
    source = read_source(str(path))
    assert source.texts
    assert (source.items, source.names) == (["fine, warm\nsoup", "cold soup"], ["good", "bad"])
    assert read_texts(write("new.tsv", "text\tid\na, b\t1\n"), labels=False) == (["a, b"], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "review,stars\nfine,5\n",
            "needs the columns text and label in its first line, and lacks text and label",
        ),
        ("text,stars\nfine,5\n", "lacks label; found text, stars"),
        ("", "found nothing"),
        ("text,label\n", "has no texts below its first line"),
        ("text,label\nfine,\n,bad\nok,good\n", "text or label is empty in line 2, 3; fill it in"),
        ("text,label\nfine\n", "text or label is empty in line 2"),
    ],
)
def test_bad_tables_are_refused(write, content, message):
    with pytest.raises(InvalidInput, match=message):
        read_source(str(write("reviews.csv", content)))


def test_other_encodings_are_told(write):
    with pytest.raises(UnreadableFile, match="is not UTF-8 text"):
        read_source(str(write("reviews.csv", "text,label\ncafé,1\n".encode("latin-1"))))


def test_descriptions(write):
    told = {"cat": "it purrs", "dog": ["it barks", "it begs"]}
    assert read_descriptions(write("d.json", json.dumps(told))) == {"cat": ["it purrs"], "dog": ["it barks", "it begs"]}
    for content, kind, message in (
        ("[1]", InvalidInput, "must describe classes as"),
        ('{"cat": [1]}', InvalidInput, "must describe classes as"),
        ("{", UnreadableFile, "is not readable JSON"),
    ):
        with pytest.raises(kind, match=message):
            read_descriptions(write("d.json", content))
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_descriptions(write("d.json", "{}").with_name("other.json"))


def test_new_pictures(photos, monkeypatch):
    monkeypatch.chdir(photos)
    (photos / "cat" / "notes.md").write_text("none")
    assert find_pictures(["dog"]) == ["dog/0.png", "dog/1.png"]
    assert find_pictures(["*/1.png", "dog/1.png", "cat/0.png"]) == ["cat/1.png", "dog/1.png", "cat/0.png"]
    assert len(find_pictures(["**/*.png"])) == 4
    (photos / "new").mkdir()
    with pytest.raises(MissingData, match="new has no pictures"):
        find_pictures(["new"])
    with pytest.raises(MissingData, match=r"bird.png does not exist, nor does a picture match it"):
        find_pictures(["dog", "bird.png"])


def test_a_model_takes_its_own_kind(photos, write):
    table = str(write("new.csv", "text\nfine\n"))
    assert find_items([table, table], texts=True) == ["fine", "fine"]
    with pytest.raises(InvalidInput, match=r"classifies texts and .*photos is no .csv"):
        find_items([table, str(photos)], texts=True)
    with pytest.raises(InvalidInput, match=r"classifies pictures and .*new.csv is a table"):
        find_items([table], texts=False)
