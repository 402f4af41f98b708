import torch

from fewshot.episodes.pool import Pool, pack
from fewshot.episodes.randomness import Randomness

CODES = torch.tensor([2, 0, 2, 1, 0, 2, 2])


def test_pool_sorts_members_by_part_and_counts_them():
    pool = Pool(CODES, 4)
    assert pool.sizes.tolist() == [2, 1, 4, 0]
    assert pool.members.tolist() == [1, 4, 3, 0, 2, 5, 6]


def test_pool_holds_only_what_is_kept():
    pool = Pool(CODES, 3, keep=CODES != 0)
    assert pool.sizes.tolist() == [0, 1, 4]
    assert pool.members.tolist() == [3, 0, 2, 5, 6]


def test_deal_gives_each_hand_its_count_and_no_item_twice():
    pool, tasks = Pool(CODES, 3), 50
    parts = torch.tensor([[2, 0, -1]]).expand(tasks, 3)
    first, second = (torch.tensor([row]).expand(tasks, 3) for row in ([3, 1, 0], [1, 1, 0]))
    a, b = pool.deal(Randomness(0, torch.arange(tasks)), "x", parts, first, second)
    assert a.shape == (tasks, 3, 3)
    assert b.shape == (tasks, 3, 1)
    for one, other in zip(a.tolist(), b.tolist(), strict=True):
        assert sorted(one[0] + other[0]) == [0, 2, 5, 6]
        assert sorted([one[1][0], other[1][0]]) == [1, 4]
        assert one[1][1:] == [-1, -1]
        assert one[2] + other[2] == [-1] * 4


def test_an_empty_hand_has_no_columns():
    parts = torch.tensor([[0, 2]])
    counts = torch.tensor([[1, 2]])
    some, none = Pool(CODES, 3).deal(Randomness(0, torch.tensor([0])), "x", parts, counts, counts * 0)
    assert some.shape == (1, 2, 2)
    assert none.shape == (1, 2, 0)


def test_pack_puts_items_side_by_side_and_marks_distractors():
    items = torch.tensor([[[7, -1], [3, 4], [9, -1]], [[-1, -1], [5, -1], [-1, -1]]])
    packed = pack("unlabelled", items, width=5, ways=2)
    assert packed["unlabelled"].tolist() == [[7, 3, 4, 9, -1], [5, -1, -1, -1, -1]]
    assert packed["unlabelled_labels"].tolist() == [[0, 1, 1, -2, -1], [1, -1, -1, -1, -1]]
