import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fewshot.episodes.dirichlet import gamma, imbalanced_counts, largest_remainder
from fewshot.episodes.randomness import Randomness


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 2.0, 7.3])
def test_gamma_follows_its_distribution(alpha):
    found = gamma(Randomness(0, torch.arange(3000)), alpha, 2).flatten()
    assert stats.kstest(found, stats.gamma(alpha).cdf).pvalue > 1e-3


def test_shares_are_dirichlet():
    """Each share of a symmetric Dirichlet is Beta(alpha, (ways - 1) alpha); counts follow it when totals are large."""
    random, total = Randomness(1, torch.arange(3000)), 10**6
    counts = imbalanced_counts(random, 2.0, torch.full((3000,), total), torch.full((3000, 5), total))
    assert stats.kstest(counts[:, 3] / total, stats.beta(2, 8).cdf).pvalue > 1e-3


def veilleux(shares, total):
    """Round, then move the entry whose fraction is nearest a half down (or up), until the sum is right."""
    values = [share * total for share in shares]
    while (off := sum(np.round(values)) - total) != 0:
        nearest = min(range(len(values)), key=lambda i: abs(math.modf(values[i])[0] - 0.5))
        values[nearest] = math.floor(values[nearest]) if off > 0 else math.ceil(values[nearest])
    return [int(value) for value in np.round(values)]


def test_largest_remainder_equals_the_repair_of_veilleux():
    shares = torch.from_numpy(np.random.default_rng(0).dirichlet([2.0] * 5, size=500))
    found = largest_remainder(shares, torch.full((500,), 75))
    assert found.tolist() == [veilleux(row, 75) for row in shares.tolist()]


@settings(deadline=None, max_examples=60)
@given(
    rooms=st.lists(st.integers(0, 30), min_size=2, max_size=6),
    part=st.floats(0, 1),
    alpha=st.sampled_from([0.01, 0.5, 2.0, 50.0]),
    seed=st.integers(0, 1000),
)
def test_counts_sum_to_the_total_and_fit_the_room(rooms, part, alpha, seed):
    room = torch.tensor([rooms, rooms[::-1]])
    totals = torch.full((2,), int(part * sum(rooms)))
    counts = imbalanced_counts(Randomness(seed, torch.arange(2)), alpha, totals, room)
    assert torch.equal(counts.sum(1), totals)
    assert bool(((counts >= 0) & (counts <= room)).all())


def test_overflow_of_a_small_class_goes_to_the_others_in_proportion():
    random = Randomness(0, torch.arange(2000))
    total, room = torch.full((2000,), 3000), torch.tensor([[0, 3000, 3000]]).expand(2000, 3)
    counts = imbalanced_counts(random, 2.0, total, room)
    assert bool((counts[:, 0] == 0).all())
    assert stats.kstest(counts[:, 1] / 3000, stats.beta(2, 2).cdf).pvalue > 1e-3
