"""Filters against the same conditions in plain Python."""

import datetime

import numpy as np
import pytest
from index_items import build_items, rows

from fewshot.errors import InvalidInput, UnknownName
from fewshot.retrieval.search import matching

ROWS = rows()


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return build_items(tmp_path_factory.mktemp("where"))


def holds(value, test) -> bool:
    return value is not None and test(value)


def day(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


CONDITIONS = {
    "label = 'mug'": lambda r: r["label"] == "mug",
    "label == 'mug' and year > 2010": lambda r: r["label"] == "mug" and holds(r["year"], lambda y: y > 2010),
    "LABEL_": None,
    "label = 'it''s'": lambda r: r["label"] == "it's",
    "label != 'mug'": lambda r: holds(r["label"], lambda v: v != "mug"),
    "not label = 'mug'": lambda r: holds(r["label"], lambda v: v != "mug"),
    "label <> 'mug' or year <= 2003": lambda r: (
        holds(r["label"], lambda v: v != "mug") or holds(r["year"], lambda y: y <= 2003)
    ),
    "label is null": lambda r: r["label"] is None,
    "label IS NOT NULL AND year Is Null": lambda r: r["label"] is not None and r["year"] is None,
    "year in (2001, 2005, 2009)": lambda r: r["year"] in (2001, 2005, 2009),
    "year not in (2001, 2005)": lambda r: holds(r["year"], lambda y: y not in (2001, 2005)),
    "not year in (2001, 2005)": lambda r: holds(r["year"], lambda y: y not in (2001, 2005)),
    "label in ('cup')": lambda r: r["label"] == "cup",
    "year between 2005 and 2010 and label = 'cup'": lambda r: (
        holds(r["year"], lambda y: 2005 <= y <= 2010) and r["label"] == "cup"
    ),
    "year not between 2005 and 2010": lambda r: holds(r["year"], lambda y: not 2005 <= y <= 2010),
    "year < 2010.5": lambda r: holds(r["year"], lambda y: y < 2010.5),
    "price >= 4": lambda r: holds(r["price"], lambda p: p >= 4),
    "price < 1.5e0": lambda r: holds(r["price"], lambda p: p < 1.5),
    "price > -3": lambda r: r["price"] is not None,
    "sold = true": lambda r: r["sold"] is True,
    "sold != true": lambda r: r["sold"] is False,
    "taken >= '2015-03-02'": lambda r: holds(r["taken"], lambda d: day(d) >= day("2015-03-02")),
    "key like 'photo 1%'": lambda r: r["key"].startswith("photo 1"),
    "key ilike 'PHOTO _.jpg'": lambda r: len(r["key"]) == 11,
    "key not like '%0.jpg'": lambda r: not r["key"].endswith("0.jpg"),
    '"two words" = 3': lambda r: r["two words"] == 3,
    "`two words` = 3": lambda r: r["two words"] == 3,
    '"two words" < year': lambda r: holds(r["year"], lambda y: r["two words"] < y),
    "(label = 'mug' or label = 'cup') and not (year > 2010 or sold = true)": lambda r: (
        r["label"] in ("mug", "cup") and holds(r["year"], lambda y: y <= 2010) and holds(r["sold"], lambda s: not s)
    ),
    "label='mug'or year=2001 and sold=false": lambda r: (
        r["label"] == "mug" or (r["year"] == 2001 and r["sold"] is False)
    ),
    "id >= 10 and id < 12": lambda r: ROWS.index(r) in (10, 11),
}
del CONDITIONS["LABEL_"]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_as_in_plain_python(index, condition):
    wanted = [place for place, row in enumerate(ROWS) if CONDITIONS[condition](row)]
    assert 0 < len(wanted) < len(ROWS) or condition == "price > -3"
    assert matching(index.snapshot, condition).tolist() == wanted


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "expected the name of a column, found the end"),
        ("label", "expected a comparison"),
        ("label =", "expected a number, a 'string', true or false, found the end"),
        ("label = mug'", "a quote is not closed, at character 12"),
        ("label = 'mug' year = 3", "expected and, or or the end, found 'year' at character 15"),
        ("(label = 'mug'", r"expected \), found the end"),
        ("label = 3", "column label holds string, and 3 is none"),
        ("year = 'soon'", "column year holds int32, and 'soon' is none"),
        ("year = 99999999999", "column year holds int32"),
        ("sold = 1", "column sold holds bool"),
        ("taken > 'soon'", "column taken holds date32"),
        ("year like '2%'", "a column of strings for like"),
        ("label in ()", "expected a number, a 'string'"),
        ("year = 20ab", "not understood"),
        ("label; drop", "'; drop' is not understood, at character 6"),
        ("__import__('os')", "no column"),
        ("label = 'a' and " * 3, "expected the name of a column, found the end"),
        ("not " * 200 + "sold = true", "levels deep"),
        ("label < year", "filter"),
    ],
)
def test_what_is_no_filter_is_pointed_at(index, condition, message):
    with pytest.raises((InvalidInput, UnknownName), match=message):
        matching(index.snapshot, condition)


def test_an_unknown_column_lists_near_ones(index):
    with pytest.raises(UnknownName, match="no column of the index is called 'lable'; near: label"):
        matching(index.snapshot, "lable = 'mug'")


def test_the_deleted_match_nothing(tmp_path):
    index = build_items(tmp_path)
    index.delete(ids=[0, 4])
    assert np.isin([0, 4], matching(index.snapshot, "label = 'mug'")).sum() == 0
    assert len(matching(index.snapshot, "id < 10")) == 8
