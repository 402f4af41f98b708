"""Search through the face: queries of every kind, filters, self left out, hits, near-duplicates, sheets, commands."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from index_items import COUNT, DIM, build_items, rows, vectors_of
from PIL import Image

from fewshot import Index
from fewshot.cli.main import main
from fewshot.errors import InvalidInput, MissingData


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return build_items(tmp_path_factory.mktemp("items"))


def by_hand(query: np.ndarray, keep=lambda row: True) -> list[int]:
    scores = vectors_of().astype(np.float64) @ query.astype(np.float64)
    return [place for place in np.argsort(-scores) if keep(rows()[place])]


def test_a_vector_finds_its_nearest(index):
    query = vectors_of(1, seed=3)[0]
    hits = index.search(query, k=7)
    assert hits.ids.tolist() == by_hand(query)[:7]
    assert hits.scores == pytest.approx(vectors_of()[hits.ids] @ query, abs=1e-6)
    assert hits.keys == [f"photo {place}.jpg" for place in hits.ids]
    assert [row["year"] for row in hits.rows] == [rows()[place]["year"] for place in hits.ids]


def test_several_are_as_one_by_one(index):
    queries = vectors_of(5, seed=4)
    hits = index.search(queries, k=3)
    assert hits.ids.shape == (5, 3)
    for place, one in enumerate(hits):
        alone = index.search(queries[place], k=3)
        assert one.ids.tolist() == alone.ids.tolist()
        assert one.keys == hits.keys[place] == alone.keys
    mixed = index.search([17, queries[0]], k=3)
    assert mixed[0].ids[0] == 17
    assert mixed[1].ids.tolist() == hits[0].ids.tolist()


def test_a_filter_holds_for_every_hit(index):
    query = vectors_of(1, seed=3)[0]
    hits = index.search(query, k=5, where="label = 'mug' and year > 2005")
    wanted = by_hand(query, lambda row: row["label"] == "mug" and row["year"] is not None and row["year"] > 2005)
    assert hits.ids.tolist() == wanted[:5]
    assert len(index.search(query, k=50, where="label = 'mug'")) == COUNT // 4
    assert len(index.search(query, k=5, where="year > 3000")) == 0


def test_self_is_left_out_by_id(index):
    assert index.search(12, k=4).ids[0] == 12
    without = index.search(12, k=4, exclude_self=True)
    assert without.ids.tolist() == index.search(12, k=5).ids[1:].tolist()
    assert len(index.search(12, k=COUNT, exclude_self=True)) == COUNT - 1
    with pytest.raises(InvalidInput, match="which item a vector is"):
        index.search(vectors_of(1)[0], exclude_self=True)


def test_a_range_holds_all_that_is_near_enough(index):
    query = vectors_of(1, seed=3)[0]
    scores = vectors_of() @ query
    found = index.range_search(query, 0.3)
    assert sorted(found.ids.tolist()) == np.flatnonzero(scores >= 0.3).tolist()
    assert (np.diff(found.scores) <= 0).all()
    assert len(index.range_search(12, 0.3, exclude_self=True)) == len(index.range_search(12, 0.3)) - 1
    assert [len(hits) for hits in index.range_search([1, 2], 2.0)] == [0, 0]


def test_a_range_holds_its_limit(index):
    score = float(index.search(12, k=3).scores[2])
    assert len(index.range_search(12, score)) == 3


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.ones(DIM + 1), r"shape \(8,\)"),
        (np.ones((2, DIM + 1)), r"shape \(queries, 8\)"),
        (999, "no item with the id 999"),
        ("a red mug", "unknown backbone"),
        ([], "nothing was asked"),
        ("", "empty text"),
        (True, "not True"),
        ({"a": 1}, "not dict"),
    ],
)
def test_bad_queries_are_told(index, query, message):
    with pytest.raises(InvalidInput, match=message):
        index.search(query)


def test_k_over_the_index_is_told(index):
    with pytest.raises(InvalidInput, match=f"between 1 and {COUNT}"):
        index.search(1, k=COUNT + 1)


def test_json_is_plain(index):
    told = json.loads(json.dumps(index.search([1, 2], k=2).to_json()))
    assert [answer["query"] for answer in told] == ["id 1", "id 2"]
    assert set(told[0]["hits"][0]) == {
        "id",
        "score",
        "key",
        "hash",
        "label",
        "year",
        "price",
        "sold",
        "taken",
        "two words",
    }


def copies(folder, count: int = 200) -> tuple[Index, list[tuple[int, ...]]]:
    """Random vectors, and groups of near copies of some: a pair, a chain of three, four that are equal."""
    vectors = vectors_of(count, seed=8)
    draw = np.random.default_rng(1)
    side = draw.normal(size=DIM)
    side -= side @ vectors[5] * vectors[5]
    side *= 0.12 / np.linalg.norm(side)
    vectors[50] = vectors[5] + side
    vectors[60] = vectors[5] + 2 * side
    vectors[70] = vectors[7] + 0.001 * draw.normal(size=DIM)
    vectors[[80, 81, 82]] = vectors[8]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return build_items(folder, vectors), [(8, 80, 81, 82), (5, 50, 60), (7, 70)]


@pytest.mark.parametrize("exact", [True, False, None])
def test_near_duplicates_are_groups(tmp_path, exact):
    index, groups = copies(tmp_path)
    found = index.duplicates(0.99, exact=exact)
    assert list(found.groups) == groups
    assert len(found.pairs) == 6 + 2 + 1
    assert found.extra == (50, 60, 70, 80, 81, 82)
    vectors = index.vectors(np.arange(200))
    for (first, second), score in zip(found.pairs, found.scores, strict=True):
        assert score == pytest.approx(vectors[first] @ vectors[second], abs=1e-5)
    fewer = index.duplicates(0.99, where="id != 80 and id != 5", exact=exact)
    assert fewer.groups == ((8, 81, 82), (7, 70), (50, 60))
    assert len(index.duplicates(1.5, exact=exact)) == 0


def test_more_copies_than_neighbours_asked_for_are_found(tmp_path):
    vectors = vectors_of(150, seed=8)
    vectors[40:120] = vectors[40]
    found = build_items(tmp_path, vectors).duplicates(0.999, exact=False)
    assert found.groups == (tuple(range(40, 120)),)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, offline_weights):
    folder = tmp_path_factory.mktemp("pictures")
    colours = {"red": (220, 30, 30), "blue": (30, 30, 220)}
    for name, colour in colours.items():
        (folder / "photos" / name).mkdir(parents=True)
        for place in range(3):
            noise = np.random.default_rng(place).integers(-25, 25, (40, 40, 3))
            picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / "photos" / name / f"{place}.png")
    return Index.build(
        folder / "photos", folder / "photos.index", backbone="timm:tf_efficientnet_lite0", progress=False
    ), folder


def test_a_picture_finds_itself_and_is_left_out(pictures):
    index, folder = pictures
    path = folder / "photos" / "red" / "1.png"
    for query in (path, str(path), Image.open(path)):
        hits = index.search(query, k=3)
        assert hits.keys[0] == "red/1.png"
        assert hits.scores[0] == pytest.approx(1, abs=1e-4)
    assert "red/1.png" not in index.search(path, k=5, exclude_self=True).keys
    with pytest.raises(MissingData, match=r"nothing\.jpg does not exist"):
        index.search("nothing.jpg")
    with pytest.raises(InvalidInput, match="knows no words"):
        index.search("something blue")


def test_a_sheet_shows_the_pictures(pictures, tmp_path):
    index, folder = pictures
    hits = index.search(folder / "photos" / "red" / "1.png", k=6)
    hits.sheet(tmp_path / "hits.png", columns=3)
    sheet = np.asarray(Image.open(tmp_path / "hits.png")).astype(int)
    red, blue = sheet[..., 0] - sheet[..., 2] > 120, sheet[..., 2] - sheet[..., 0] > 120
    assert 0.8 < red.sum() / (3 * 168 * 168) <= 1
    assert 0.8 < blue.sum() / (3 * 168 * 168) <= 1
    with pytest.raises(InvalidInput, match=r"\.png or \.jpg"):
        hits.sheet(tmp_path / "hits.pdf")


def run(*words: object) -> str:
    done = CliRunner().invoke(main, ["index", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_search_command(pictures, tmp_path):
    index, folder = pictures
    query = folder / "photos" / "blue" / "2.png"
    told = json.loads(run("search", index.folder, query, "--id", 0, "-k", 2, "--json"))
    assert [answer["hits"][0]["key"] for answer in told] == ["blue/2.png", index.snapshot.keys(np.array([0]))[0]]
    told = json.loads(run("search", index.folder, query, "--where", "label = 'red'", "-k", 6, "--json"))
    assert {hit["label"] for hit in told[0]["hits"]} == {"red"}
    assert "blue/2.png" in run("search", index.folder, query, "--threshold", 0.99, "--sheet", tmp_path / "s.png")
    assert (tmp_path / "s.png").is_file()
    failed = CliRunner().invoke(main, ["index", "search", str(index.folder)])
    assert failed.exit_code == 2
    assert failed.output.count("\n") == 1


def test_the_dedup_command(tmp_path):
    index, groups = copies(tmp_path)
    told = json.loads(run("dedup", index.folder, "--threshold", 0.99, "--json"))
    assert [tuple(item["id"] for item in group) for group in told["groups"]] == groups
    assert json.loads(run("dedup", index.folder, "--threshold", 0.99, "--delete", "--json"))["deleted"] == 6
    assert json.loads(run("dedup", index.folder, "--threshold", 0.99, "--json"))["groups"] == []
    assert len(Index.open(index.folder)) == 194
