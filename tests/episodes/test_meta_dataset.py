import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fewshot.episodes.sampler as sampler_module
from fewshot import MetaDatasetSampler
from fewshot.episodes.randomness import Randomness
from fewshot.errors import FewshotWarning, InvalidInput, SamplingError

SIZES = torch.tensor([20, 600, 35, 2, 150, 90, 61, 240, 17, 33, 48, 1000])
LABELS = torch.arange(12).repeat_interleave(SIZES)


def counts_of(labels, ways):
    return [(labels == position).sum().item() for position in range(ways)]


def drawn(episodes, task):
    """Classes, shots and queries of a task."""
    classes = [label for label in episodes.classes[task].tolist() if label >= 0]
    shots = counts_of(episodes.support_labels[task], len(classes))
    return classes, shots, counts_of(episodes.query_labels[task], len(classes))


def reference(sizes, beta, noise):
    """Steps 2 to 4 of Meta-Dataset for one task in plain Python: sizes, one beta, and one U[0, 1) a class."""
    query = min(10, min(n // 2 for n in sizes))
    support = min(500, sum(math.floor(beta * min(100, n - query) + 1) for n in sizes))
    shares = [
        n * math.exp(math.log(0.5) + u * (math.log(2) - math.log(0.5))) for n, u in zip(sizes, noise, strict=True)
    ]
    shots = [
        min(math.floor(share / sum(shares) * (support - len(sizes))) + 1, n - query)
        for n, share in zip(sizes, shares, strict=True)
    ]
    return shots, [query] * len(sizes)


@pytest.mark.parametrize("copies", [1, 6])
def test_counts_equal_a_plain_reference_fed_with_the_same_numbers(copies):
    sizes = SIZES.repeat(copies)
    labels = torch.arange(len(sizes)).repeat_interleave(sizes)
    episodes = MetaDatasetSampler(labels, seed=4).sample(150)
    for task in range(150):
        random = Randomness(4, torch.tensor([task]))
        classes, shots, queries = drawn(episodes, task)
        most = min(50, len(sizes))
        assert len(classes) == 5 + math.floor(random.uniform("ways").item() * (most - 5 + 1))
        beta = random.uniform("support size").item()
        noise = random.uniform("shots", len(classes))[0].tolist()
        assert (shots, queries) == reference([int(sizes[label]) for label in classes], beta, noise)


def test_ways_and_classes_are_uniform():
    episodes = MetaDatasetSampler(torch.arange(14).repeat_interleave(4)).sample(4000)
    ways = (episodes.classes >= 0).sum(1)
    assert stats.chisquare(ways.bincount(minlength=15)[5:]).pvalue > 1e-3
    assert stats.chisquare(episodes.classes[:, 0].bincount(minlength=14)).pvalue > 1e-3


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from([2, 3, 7, 15, 40, 130]), min_size=5, max_size=60), st.integers(0, 10**6))
def test_bounds(sizes, seed):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    episodes = MetaDatasetSampler(labels, seed=seed).sample(4)
    episodes.check(labels)
    for task in range(4):
        classes, shots, queries = drawn(episodes, task)
        assert 5 <= len(classes) <= min(50, len(sizes))
        assert len(set(classes)) == len(classes)
        assert sum(shots) <= 500
        assert len(set(queries)) == 1
        assert 1 <= queries[0] <= 10
        for label, k, q in zip(classes, shots, queries, strict=True):
            assert k >= 1
            assert k + q <= sizes[label]


@pytest.mark.parametrize("grouped", [False, True])
def test_tasks_depend_on_seed_and_number_alone(grouped, monkeypatch):
    sampler = MetaDatasetSampler(LABELS, seed=1, groups=LABELS // 6 if grouped else None)
    many = sampler.sample(30)
    many.check(LABELS)
    assert sampler.sample(10).fingerprint == many[:10].fingerprint
    assert sampler.sample(4, start=17).fingerprint == many[17:21].fingerprint
    monkeypatch.setattr(sampler_module, "CHUNK_ITEMS", 1)
    assert sampler.sample(30).fingerprint == many.fingerprint


def test_groups_are_uniform_and_hold_all_classes_of_a_task():
    labels = torch.arange(26).repeat_interleave(6)
    episodes = MetaDatasetSampler(labels, groups=(labels >= 20).long()).sample(2000)
    second = (episodes.classes >= 20)[:, 0]
    assert stats.binomtest(int(second.sum()), 2000).pvalue > 1e-3
    real = episodes.classes >= 0
    assert torch.equal((episodes.classes >= 20) & real, second.unsqueeze(1) & real)
    ways = real.sum(1)
    assert set(ways[second].tolist()) == {5, 6}
    assert set(ways[~second].tolist()) == set(range(5, 21))


def test_constants_are_arguments():
    """Those of FewTrans: 2 to 15 ways, at most 150 in the support, at most 10 from a class."""
    sampler = MetaDatasetSampler(LABELS, min_ways=2, max_ways=15, max_support=150, max_contribution=10)
    ways = (sampler.sample(300).classes >= 0).sum(1)
    assert set(ways.tolist()) == set(range(2, 13))
    assert sampler.sample(300).support.shape == (300, 120)
    steady = MetaDatasetSampler(LABELS, shot_noise=(1.0, 1.0), max_query=2).sample(20)
    assert int(max(counts_of(steady.query_labels[0], 12))) <= 2
    assert steady.settings["shot_noise"] == [1.0, 1.0]


def test_trim_narrows_a_slice():
    episodes = MetaDatasetSampler(LABELS).sample(20)
    one = episodes[3].trim()
    assert bool((one.support >= 0).all())
    assert one.support.shape[1] == (episodes.support[3] >= 0).sum()


def test_too_small_is_left_out_with_a_warning_or_refused():
    labels = torch.tensor([0] + [c for c in range(1, 8) for _ in range(4)])
    with pytest.warns(FewshotWarning, match="left out, too small, 1 of 8 classes: 0 has 1 of 2 items") as caught:
        MetaDatasetSampler(labels)
    assert caught[0].filename == __file__
    with pytest.raises(SamplingError, match="too small, 1 of 8 classes: 0 has 1 of 2 items; pass strict=False"):
        MetaDatasetSampler(labels, strict=True)
    groups = SimpleNamespace(codes=(labels > 5).long(), names=("Latin", "Greek"))
    with pytest.warns(FewshotWarning, match="too small, 1 of 2 groups: 'Greek' has 2 of 5 classes"):
        MetaDatasetSampler(labels[1:], groups=SimpleNamespace(codes=groups.codes[1:], names=groups.names))
    with pytest.raises(SamplingError, match="too few classes with 2 items: 5 needed, 4 found"):
        MetaDatasetSampler(torch.arange(4).repeat_interleave(9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_ways": 1}, "min_ways must be an integer of at least 2, found 1"),
        ({"max_ways": 4}, "max_ways, not below min_ways, must be an integer of at least 5, found 4"),
        ({"max_query": 0}, "max_query must be an integer of at least 1, found 0"),
        ({"max_support": 49}, "max_support, not below max_ways, must be an integer of at least 50, found 49"),
        ({"max_contribution": 0}, "max_contribution must be an integer of at least 1, found 0"),
        ({"shot_noise": (0.0, 1.0)}, "shot_noise must be a finite number above 0, found 0.0"),
        ({"shot_noise": (2.0, 1.0)}, r"shot_noise must be \(low, high\), found \(2.0, 1.0\)"),
        ({"shot_noise": (1.0,)}, r"shot_noise must be \(low, high\), found \(1.0,\)"),
        ({"seed": -3}, "seed must be an integer of at least 0, found -3"),
        ({"labels": torch.rand(4)}, "labels must be integers, found float32"),
        ({"groups": LABELS[1:]}, "groups must have one entry for each of the 2296 items, found 2295"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        MetaDatasetSampler(**({"labels": LABELS} | arguments))
