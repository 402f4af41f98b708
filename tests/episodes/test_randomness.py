from zlib import crc32

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fewshot.episodes.randomness import Randomness, _split

ALL = 2**64 - 1


def numbers(seed, tasks, stream, *shape):
    return Randomness(seed, torch.as_tensor(tasks)).uniform(stream, *shape)


def test_split_gives_the_published_sequence_of_splitmix64():
    """The first outputs for seed 1234567, as published with the reference implementation."""
    found = _split(torch.tensor(1234567), torch.arange(5))
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [value & ALL for value in found.tolist()] == [*published, 16408922859458223821]


def plain_split(key, index):
    z = (key + (index + 1) * 0x9E3779B97F4A7C15) & ALL
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ALL
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ALL
    return z ^ (z >> 31)


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_uniform_equals_plain_integer_arithmetic(seed):
    found = numbers(seed, [0, 3, 10**12], "items", 2, 3)
    for row, task in enumerate([0, 3, 10**12]):
        for i in range(2):
            for j in range(3):
                key = plain_split(0, seed)
                for index in (crc32(b"items"), task, i, j):
                    key = plain_split(key, index)
                assert found[row, i, j].item() == (key >> 11) / 2**53


def test_uniform_is_pinned():
    """These must never change, or every saved seed would mean other episodes."""
    assert numbers(0, [0, 1], "classes", 2).tolist() == [
        [0.23584234400606463, 0.9391409245727059],
        [0.5306588635952956, 0.18939943569035178],
    ]


def test_wider_shapes_and_other_tasks_change_nothing():
    wide = numbers(3, range(20), "a", 4, 6)
    assert torch.equal(wide[5:8, :2, :3], numbers(3, range(5, 8), "a", 2, 3))


@pytest.mark.parametrize("axis", ["seed", "stream", "task", "place"])
def test_uniform_and_independent_along_every_axis(axis):
    n = 4000
    draw = {
        "seed": lambda: torch.cat([numbers(seed, [0], "a") for seed in range(n)]),
        "stream": lambda: torch.cat([numbers(0, [0], f"stream {i}") for i in range(n)]),
        "task": lambda: numbers(0, range(n), "a"),
        "place": lambda: numbers(0, [0], "a", n)[0],
    }[axis]()
    assert stats.kstest(draw, "uniform").pvalue > 1e-3
    assert stats.spearmanr(draw[:-1], draw[1:]).pvalue > 1e-3
    cells = torch.bincount((draw[:-1] * 8).long() * 8 + (draw[1:] * 8).long(), minlength=64)
    assert stats.chisquare(cells).pvalue > 1e-3


def test_numbers_of_two_streams_are_unrelated():
    a, b = numbers(0, range(4000), "a"), numbers(0, range(4000), "b")
    assert stats.spearmanr(a, b).pvalue > 1e-3


def test_below_reaches_every_integer_evenly():
    found = Randomness(1, torch.arange(7000)).below("x", torch.tensor(7))
    assert stats.chisquare(found.bincount(minlength=7)).pvalue > 1e-3


@pytest.mark.parametrize(("size", "count", "outcomes"), [(5, 1, 5), (4, 2, 12), (4, 4, 24), (6, 3, 120)])
def test_distinct_makes_every_ordered_choice_equally_likely(size, count, outcomes):
    rows = torch.full((20000, 1), size)
    found = Randomness(0, torch.arange(20000)).distinct("x", rows, torch.full_like(rows, count)).squeeze(1)
    code = (found * size ** torch.arange(count)).sum(1)
    values, counts = code.unique(return_counts=True)
    assert len(values) == outcomes
    assert stats.chisquare(counts).pvalue > 1e-3


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=8), st.integers(0, 2**63 - 1))
def test_distinct_rows_hold_different_integers_in_range(rows, seed):
    sizes = torch.tensor([[size for size, _ in rows]])
    counts = torch.tensor([[min(size, count) for size, count in rows]])
    found = Randomness(seed, torch.tensor([4])).distinct("x", sizes, counts)
    assert found.shape == (1, len(rows), int(counts.max()))
    for row, size, count in zip(found[0].tolist(), sizes[0].tolist(), counts[0].tolist(), strict=True):
        drawn = row[:count]
        assert len(set(drawn)) == count
        assert all(0 <= value < size for value in drawn)
        assert row[count:] == [-1] * (len(row) - count)


def test_distinct_does_not_depend_on_the_other_rows():
    sizes, counts = torch.tensor([[9, 50, 7]]), torch.tensor([[4, 1, 2]])
    alone = Randomness(0, torch.tensor([2])).distinct("x", sizes, counts)
    wider = Randomness(0, torch.tensor([1, 2])).distinct("x", sizes.expand(2, 3), torch.tensor([[9, 30, 0], [4, 1, 2]]))
    assert torch.equal(wider[1, :, :4], alone[0])
