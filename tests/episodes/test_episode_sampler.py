import warnings
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import fewshot.episodes.sampler as sampler_module
from fewshot import EpisodeSampler
from fewshot.errors import FewshotWarning, InvalidInput, SamplingError, UnknownName

LABELS = torch.arange(360) % 12
GROUPS = LABELS // 4
DOMAINS = SimpleNamespace(codes=torch.arange(360) // 12 % 3, names=("photo", "sketch", "art"))
DISTANCE = (torch.arange(12).unsqueeze(0) - torch.arange(12).unsqueeze(1)).abs()
VARIATIONS = {
    "plain": {},
    "imbalanced": {"query_imbalance": 0.5},
    "unlabelled": {"unlabelled": 3, "distractors": 2},
    "all": {"ways": "all"},
    "groups": {"groups": GROUPS, "ways": 3},
    "all of a group": {"groups": GROUPS, "ways": "all"},
    "cross-domain": {"domains": DOMAINS, "support_domain": "photo", "query_domain": 1, "queries": 5, "unlabelled": 2},
    "all of unequal groups": {"groups": (LABELS > 4).long(), "ways": "all", "unlabelled": 1, "query_imbalance": 2.0},
    "near": {"class_distance": DISTANCE, "unlabelled": 1, "distractors": 1},
}
PINNED = {
    "plain": "dd43bcb2ae513d0a",
    "unlabelled": "2959ccbc0b37ee13",
    "all": "e0bd0c8cad866418",
    "groups": "07f4d0da7e79704a",
    "all of a group": "6b44fea1e67d14b7",
    "cross-domain": "467097506af08b80",
}
variation = pytest.mark.parametrize("options", VARIATIONS.values(), ids=VARIATIONS.keys())


def test_shapes_and_labels_of_a_plain_draw():
    episodes = EpisodeSampler(LABELS, ways=4, shots=2, queries=3, seed=1).sample(7)
    assert episodes.support_labels.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]] * 7
    assert episodes.query_labels.tolist() == [[0] * 3 + [1] * 3 + [2] * 3 + [3] * 3] * 7
    assert episodes.unlabelled is None
    assert torch.equal(LABELS[episodes.support], episodes.classes.repeat_interleave(2, dim=1))


@variation
def test_every_draw_keeps_its_promises(options):
    episodes = EpisodeSampler(LABELS, shots=2, **options).sample(40)
    episodes.check(LABELS)
    for row in episodes.classes.tolist():
        drawn = [label for label in row if label >= 0]
        assert len(set(drawn)) == len(drawn)


@variation
def test_tasks_depend_on_seed_and_number_alone(options, monkeypatch):
    sampler = EpisodeSampler(LABELS, **options, seed=5)
    many = sampler.sample(30)
    assert sampler.sample(10).fingerprint == many[:10].fingerprint
    assert sampler.sample(4, start=17).fingerprint == many[17:21].fingerprint
    assert EpisodeSampler(LABELS, **options, seed=6).sample(30).fingerprint != many.fingerprint
    monkeypatch.setattr(sampler_module, "CHUNK_ITEMS", 1)
    assert sampler.sample(30).fingerprint == many.fingerprint


@pytest.mark.parametrize("name", PINNED)
def test_draws_are_pinned(name):
    """The same on every machine and in every version: a saved seed keeps its meaning."""
    assert EpisodeSampler(LABELS, seed=3, **VARIATIONS[name]).sample(20).fingerprint == PINNED[name]


def test_thread_count_changes_nothing():
    threads = torch.get_num_threads()
    sampler = EpisodeSampler(LABELS, query_imbalance=2.0)
    try:
        prints = set()
        for count in (1, 3):
            torch.set_num_threads(count)
            prints.add(sampler.sample(3000).fingerprint)
    finally:
        torch.set_num_threads(threads)
    assert len(prints) == 1


def test_classes_and_items_are_drawn_uniformly():
    episodes = EpisodeSampler(LABELS, ways=5, shots=1, queries=2).sample(6000)
    assert stats.chisquare(episodes.classes.flatten().bincount()).pvalue > 1e-3
    assert stats.chisquare(episodes.support.flatten().bincount(minlength=360)).pvalue > 1e-3
    assert stats.chisquare(episodes.query[:, 1].bincount(minlength=360)).pvalue > 1e-3


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=4, max_size=9),
    shots=st.integers(1, 3),
    queries=st.integers(0, 3),
    unlabelled=st.integers(0, 2),
    imbalance=st.sampled_from([None, 0.3, 2.0]),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_table_gives_fair_tasks_or_says_why_not(sizes, shots, queries, unlabelled, imbalance, seed):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)) * 3
    needed = shots + queries + unlabelled
    large, distractors = sum(size >= needed for size in sizes), min(unlabelled, 1)

    def sample():
        return EpisodeSampler(
            labels, 2, shots, queries, seed, query_imbalance=imbalance, unlabelled=unlabelled, distractors=distractors
        ).sample(5)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewshotWarning)
        if large < 2 + distractors:
            message = f"too few classes with {needed} items: {2 + distractors} needed, {large} found"
            with pytest.raises(SamplingError, match=message):
                sample()
            return
        episodes = sample()
    episodes.check(labels)
    assert bool((episodes.support >= 0).all())
    assert bool((episodes.query >= 0).all())
    assert episodes.query.shape == (5, 2 * queries)
    if unlabelled:
        assert (episodes.unlabelled_labels == -2).sum(1).tolist() == [unlabelled] * 5


def test_imbalanced_queries_keep_their_sum_and_support_stays_balanced():
    episodes = EpisodeSampler(LABELS, queries=6, query_imbalance=0.2).sample(300)
    counts = torch.stack([(episodes.query_labels == c).sum(1) for c in range(5)], dim=1)
    assert counts.sum(1).tolist() == [30] * 300
    assert bool((counts == 0).any())
    assert int(counts.max()) <= 29
    assert episodes.support_labels.tolist() == [[0, 1, 2, 3, 4]] * 300


def test_all_ways_takes_every_class_in_random_order():
    episodes = EpisodeSampler(LABELS, ways="all", queries=2).sample(50)
    assert bool((episodes.classes.sort(1).values == torch.arange(12)).all())
    assert len({tuple(row) for row in episodes.classes.tolist()}) > 40


def test_groups_hold_all_classes_of_a_task_and_are_uniform():
    labels = torch.arange(9).repeat_interleave(5)
    groups = (labels >= 3).long()
    episodes = EpisodeSampler(labels, ways=3, queries=1, groups=groups).sample(4000)
    of_class = (episodes.classes >= 3).long()
    assert bool((of_class == of_class[:, :1]).all())
    assert stats.binomtest(int(of_class[:, 0].sum()), 4000).pvalue > 1e-3


def test_a_small_group_is_left_out_with_a_warning():
    labels = torch.arange(7).repeat_interleave(3)
    groups = SimpleNamespace(codes=(labels >= 5).long(), names=("Latin", "Greek"))
    with pytest.warns(FewshotWarning, match="left out, too small, 1 of 2 groups: 'Greek' has 2 of 4 classes"):
        sampler = EpisodeSampler(labels, ways=4, queries=1, groups=groups)
    assert int(sampler.sample(50).classes.max()) == 4
    with pytest.raises(SamplingError, match="too small, 1 of 2 groups: 'Greek' has 2 of 4 classes; pass strict=False"):
        EpisodeSampler(labels, ways=4, queries=1, groups=groups, strict=True)
    with pytest.raises(
        SamplingError, match="too few groups with 6 classes: 1 needed, 0 found; too small: 'Latin' has 5"
    ):
        EpisodeSampler(labels, ways=6, queries=1, groups=groups)


def test_cross_domain_takes_support_and_queries_from_their_domains():
    episodes = EpisodeSampler(LABELS, **VARIATIONS["cross-domain"]).sample(60)
    assert bool((DOMAINS.codes[episodes.support] == 0).all())
    assert bool((DOMAINS.codes[episodes.query] == 1).all())
    assert bool((DOMAINS.codes[episodes.unlabelled] == 1).all())


def test_a_class_missing_from_a_domain_is_named():
    labels = torch.arange(4).repeat_interleave(4)
    domains = torch.tensor([0, 0, 1, 1] * 3 + [0, 0, 0, 0])
    with pytest.warns(FewshotWarning, match=r"left out, too small, 1 of 4 classes: 3 has 0 of 2 items in domain 1$"):
        EpisodeSampler(labels, ways=3, queries=2, domains=domains, support_domain=0, query_domain=1)


def test_near_classes_are_nearer_than_random_ones():
    near, far = (
        EpisodeSampler(LABELS, class_distance=DISTANCE, nearness=nearness).sample(300).classes
        for nearness in (20, 1e-9)
    )

    def spread(classes):
        return (classes[:, 1:] - classes[:, :1]).abs().double().mean()

    assert spread(near) < 0.6 * spread(far)


def test_class_distance_is_read_by_label():
    labels = torch.tensor([1, 4, 6]).repeat_interleave(3)
    distance = torch.full((7, 7), 100.0)
    distance[1, 6] = distance[6, 1] = 0.0
    episodes = EpisodeSampler(labels, ways=2, queries=1, class_distance=distance, nearness=1e3).sample(100)
    drawn = {tuple(row) for row in episodes.classes.tolist()}
    assert {(1, 6), (6, 1)} < drawn
    assert not {(1, 4), (6, 4)} & drawn


SMALL = torch.tensor([0] * 9 + [1] * 16 + [2] * 16 + [3] * 15)


def test_a_small_class_is_left_out_with_a_warning_that_points_at_the_caller():
    with pytest.warns(FewshotWarning) as caught:
        sampler = EpisodeSampler(SMALL, ways=2, class_names=("cat", "dog", "owl", "fox"))
    assert str(caught[0].message) == (
        "left out, too small, 2 of 4 classes: 'cat' has 9 of 16 items, 'fox' has 15 of 16 items"
    )
    assert caught[0].filename == __file__
    assert set(sampler.sample(50).classes.flatten().tolist()) == {1, 2}


def test_a_small_class_raises_when_strict():
    with pytest.raises(
        SamplingError, match="too small, 2 of 4 classes: 0 has 9 of 16 items, 3 has 15 of 16 items; pass"
    ):
        EpisodeSampler(SMALL, ways=2, strict=True)


def test_too_few_classes_are_told():
    with pytest.raises(
        SamplingError, match="too few classes with 16 items: 3 needed, 2 found; too small: 0 has 9 .*; ask for fewer"
    ):
        EpisodeSampler(SMALL, ways=3)
    with pytest.raises(
        SamplingError, match="too few classes with 16 items: 5 needed, 4 found; ask for fewer ways or items"
    ):
        EpisodeSampler(torch.arange(4).repeat_interleave(16))


def test_settings_tell_the_whole_draw():
    told = EpisodeSampler(LABELS, groups=GROUPS, ways=3, seed=9).sample(4, start=2).settings
    assert told["sampler"] == "EpisodeSampler"
    assert (told["ways"], told["shots"], told["queries"], told["seed"]) == (3, 1, 15, 9)
    assert (told["start"], told["tasks"]) == (2, 4)
    assert len(told["labels"]) == len(told["groups"]) == 16
    assert told["domains"] is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": torch.rand(9)}, InvalidInput, "labels must be integers, found float32"),
        ({"labels": torch.ones(9, dtype=torch.bool)}, InvalidInput, "labels must be integers, found bool"),
        ({"labels": []}, InvalidInput, "labels must be integers"),
        ({"labels": torch.zeros(0, dtype=torch.int64)}, InvalidInput, r"one integer an item, found shape \(0,\)"),
        ({"labels": torch.zeros(3, 3, dtype=torch.int64)}, InvalidInput, r"one integer an item, found shape \(3, 3\)"),
        ({"labels": [-1, 0, 1]}, InvalidInput, "labels must not be negative, found -1"),
        ({"ways": 1}, InvalidInput, 'ways, unless "all", must be an integer of at least 2, found 1'),
        ({"ways": "five"}, InvalidInput, "at least 2, found 'five'"),
        ({"ways": 13}, SamplingError, "too few classes with 16 items: 13 needed, 12 found"),
        (
            {"ways": 11, "unlabelled": 1, "distractors": 2},
            SamplingError,
            "too few classes with 17 items: 13 needed, 12 found",
        ),
        ({"shots": 0}, InvalidInput, "shots must be an integer of at least 1, found 0"),
        ({"shots": 1.5}, InvalidInput, "shots must be an integer of at least 1, found 1.5"),
        ({"shots": True}, InvalidInput, "shots must be an integer of at least 1, found True"),
        ({"queries": -1}, InvalidInput, "queries must be an integer of at least 0, found -1"),
        ({"seed": -1}, InvalidInput, "seed must be an integer of at least 0, found -1"),
        ({"seed": 2**63}, InvalidInput, r"seed must be below 2\^63"),
        ({"query_imbalance": 0.0}, InvalidInput, "query_imbalance must be a finite number above 0, found 0.0"),
        ({"query_imbalance": float("nan")}, InvalidInput, "query_imbalance must be a finite number above 0, found nan"),
        ({"unlabelled": -2}, InvalidInput, "unlabelled must be an integer of at least 0, found -2"),
        ({"distractors": 1}, InvalidInput, "distractors need unlabelled items a class"),
        ({"groups": GROUPS[:9]}, InvalidInput, "groups must have one entry for each of the 360 items, found 9"),
        ({"groups": DOMAINS}, InvalidInput, "groups must hold whole classes, found items of class .* more than one"),
        ({"domains": DOMAINS}, InvalidInput, "domains, support_domain and query_domain must be given together"),
        (
            {"domains": DOMAINS, "support_domain": "photo", "query_domain": "photo"},
            InvalidInput,
            "support_domain and query_domain must differ, found 0 for both",
        ),
        (
            {"domains": DOMAINS, "support_domain": "photo", "query_domain": 0},
            InvalidInput,
            "support_domain and query_domain must differ",
        ),
        (
            {"domains": DOMAINS, "support_domain": "photo", "query_domain": "sketsh"},
            UnknownName,
            "no domain is called 'sketsh'; near: sketch",
        ),
        (
            {"domains": DOMAINS.codes, "support_domain": 0, "query_domain": 3},
            UnknownName,
            r"no domain is called '3'; near: 0, 1, 2 \(of 3\)",
        ),
        (
            {"domains": DOMAINS.codes[1:], "support_domain": 0, "query_domain": 1},
            InvalidInput,
            "domains must have one entry for each of the 360 items, found 359",
        ),
        ({"class_distance": torch.rand(12, 11)}, InvalidInput, r"row for each label up to 11, found shape \(12, 11\)"),
        ({"class_distance": torch.rand(11, 11)}, InvalidInput, r"row for each label up to 11, found shape \(11, 11\)"),
        ({"class_distance": torch.full((12, 12), torch.nan)}, InvalidInput, "class_distance must be finite"),
        ({"class_distance": -DISTANCE}, InvalidInput, "class_distance must be finite and not negative"),
        (
            {"class_distance": DISTANCE, "nearness": 0},
            InvalidInput,
            "nearness must be a finite number above 0, found 0",
        ),
        (
            {"class_distance": DISTANCE, "groups": GROUPS},
            InvalidInput,
            "class_distance chooses classes over all groups",
        ),
        ({"class_names": ["cat"]}, InvalidInput, "class_names must name every label up to 11, found 1 names"),
    ],
)
def test_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        EpisodeSampler(**({"labels": LABELS} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "tasks must be an integer of at least 1, found 0"),
        ((5, -1), "start must be an integer of at least 0, found -1"),
    ],
)
def test_sample_refuses(arguments, message):
    with pytest.raises(InvalidInput, match=message):
        EpisodeSampler(LABELS).sample(*arguments)


def test_ten_thousand_tasks_are_drawn_in_chunks_of_bounded_size(monkeypatch):
    sampler, seen = EpisodeSampler(LABELS), []
    draw = sampler._draw

    def spy(random):
        seen.append(len(random.tasks))
        return draw(random)

    monkeypatch.setattr(sampler, "_draw", spy)
    episodes = sampler.sample(10_000)
    assert sum(seen) == len(episodes) == 10_000
    assert max(seen) * 80 <= sampler_module.CHUNK_ITEMS
    held = sum(tensor.untyped_storage().nbytes() for tensor in episodes._tensors().values())
    assert held == 10_000 * (2 * 5 + 2 * 75 + 5) * 8


def test_repr_tells_the_arguments():
    told = repr(EpisodeSampler(LABELS, ways=4, groups=GROUPS))
    assert told.startswith("<'EpisodeSampler', labels='")
    assert "ways=4, shots=1, queries=15, seed=0" in told


def test_labels_may_be_a_list_or_an_array():
    prints = {EpisodeSampler(kind).sample(3).fingerprint for kind in (LABELS, LABELS.tolist(), LABELS.int().numpy())}
    assert len(prints) == 1
