import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fewshot.datasets.duplicates import duplicate_groups, pairs_across
from fewshot.datasets.images import Images
from fewshot.datasets.sources.arrays import ArrayImages


@given(st.lists(st.integers(0, 4), max_size=12))
def test_groups_agree_with_comparing_all(values):
    images = ArrayImages(np.array(values, dtype=np.uint8).reshape(-1, 1, 1))
    groups = duplicate_groups(images)
    expected = [[i for i, other in enumerate(values) if other == value] for value in dict.fromkeys(values)]
    assert groups == [group for group in expected if len(group) > 1]


class Colliding(Images):
    """All digests are equal, and only even indices are the same picture."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        raise AssertionError("no picture needs to be decoded")

    def digest(self, index):
        return "0"

    def describe(self):
        return {}

    def same(self, first, second):
        return first % 2 == second % 2 == 0


def test_a_digest_that_collides_is_confirmed_by_the_bytes():
    assert duplicate_groups(Colliding()) == [[0, 2, 4]]


def test_pairs_across_homes():
    assert pairs_across([[0, 1, 2], [3, 4]], ["train", "test", "train", "val", "val"]) == [(0, 1)]
