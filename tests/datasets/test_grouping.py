import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewshot.datasets import Grouping
from fewshot.errors import InvalidInput, UnknownName


@given(st.lists(st.sampled_from(["photo", "sketch", "icon"]), max_size=20))
def test_words_come_back_from_codes(words):
    grouping = Grouping.of(words)
    assert [grouping.names[code] for code in grouping.codes.tolist()] == words
    assert list(grouping.names) == sorted(set(words))
    for name in grouping.names:
        assert grouping.mask(name).tolist() == [word == name for word in words]


def test_selection_keeps_all_names():
    grouping = Grouping.of(["a", "b", "a"]).select(torch.tensor([2, 0]))
    assert (grouping.codes.tolist(), grouping.names, len(grouping)) == ([0, 0], ("a", "b"), 2)


@pytest.mark.parametrize(
    ("codes", "names", "message"),
    [
        ([0, 2], ("a", "b"), r"must lie in 0..1, one for each name; found 0..2"),
        ([-1, 0], ("a", "b"), r"found -1..0"),
        ([0.5], ("a",), "one row of integers, not torch.float32"),
        ([[0]], ("a",), r"of shape \[1, 1\]"),
        ([0], ("a", "a"), r"group names must differ; found \['a', 'a'\]"),
    ],
)
def test_bad_groupings_are_refused(codes, names, message):
    with pytest.raises(InvalidInput, match=message):
        Grouping(torch.tensor(codes), names)


def test_an_unknown_value_is_named():
    with pytest.raises(UnknownName, match="no domain is called 'film'; near"):
        Grouping.of(["photo", "sketch"]).mask(["photo", "film"], "domain")
