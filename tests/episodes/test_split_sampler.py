import pytest
import torch

from fewshot.episodes import SplitSampler
from fewshot.errors import FewshotWarning, InvalidInput, SamplingError


def split(sizes=(6, 5, 7), tests=(2, 3, 1)):
    """Labels, pool and test of classes that have so many items in each."""
    labels = torch.cat(
        [torch.full((pool + test,), label) for label, (pool, test) in enumerate(zip(sizes, tests, strict=True))]
    )
    pool = torch.cat([torch.arange(pool + test) < pool for pool, test in zip(sizes, tests, strict=True)])
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))
    return labels[order], pool[order]


def test_supports_come_from_the_pool_and_every_test_item_is_asked():
    labels, pool = split()
    episodes = SplitSampler(labels, pool=pool, test=~pool, shots=3).sample(20)
    episodes.check(labels)
    assert pool[episodes.support].all()
    assert (episodes.query.sort(1).values == (~pool).nonzero().squeeze(1)).all()
    assert (episodes.classes == torch.arange(3)).all()
    assert (labels[episodes.support] == episodes.support_labels).all()
    assert len({tuple(sorted(row)) for row in episodes.support.tolist()}) > 10
    assert episodes.validation is None


@pytest.mark.parametrize("validation", [2, "rest"])
def test_validation_items_are_of_the_pool_and_apart_from_the_support(validation):
    labels, pool = split()
    episodes = SplitSampler(labels, pool=pool, test=~pool, shots=3, validation=validation).sample(10)
    episodes.check(labels)
    assert pool[episodes.validation.clamp(min=0)].all()
    if validation == "rest":
        together = torch.cat([episodes.support, episodes.validation], 1).sort(1).values
        assert (together == pool.nonzero().squeeze(1)).all()
    else:
        assert episodes.validation.shape == (10, 6)
    again = SplitSampler(labels, pool=pool, test=~pool, shots=3, validation=validation).sample(4, start=3)
    assert torch.equal(again.support, episodes.support[3:7])


def test_every_item_of_the_pool_is_drawn_equally_often():
    labels, pool = split()
    support = SplitSampler(labels, pool=pool, test=~pool, shots=1).sample(3000).support
    share = support.flatten().bincount(minlength=len(labels))[pool] / 3000
    expected = 1 / torch.tensor([6.0, 5.0, 7.0])[labels[pool]]
    torch.testing.assert_close(share, expected, atol=0.035, rtol=0)


def test_no_support_is_drawn_where_none_is_asked_for():
    labels, pool = split()
    episodes = SplitSampler(labels, pool=pool, test=~pool, shots=0).sample(2)
    episodes.check(labels)
    assert episodes.support.shape == (2, 0)
    assert (episodes.query.sort(1).values == (~pool).nonzero().squeeze(1)).all()


def test_small_classes_are_left_out():
    labels, pool = split()
    with pytest.warns(FewshotWarning, match="1 of 3 classes: 'b' has 5 of 6 items in the pool"):
        sampler = SplitSampler(labels, pool=pool, test=~pool, shots=6, class_names=["a", "b", "c"])
    episodes = sampler.sample(2)
    episodes.check(labels)
    assert episodes.classes.tolist() == [[0, 2], [0, 2]]
    assert set(episodes.query_labels.flatten().tolist()) == {0, 1}
    with pytest.raises(SamplingError, match="too small"):
        SplitSampler(labels, pool=pool, test=~pool, shots=6, strict=True)
    with pytest.raises(SamplingError, match="too few classes with 8 items in the pool and 1 items in the test"):
        SplitSampler(labels, pool=pool, test=~pool, shots=5, validation=3)


def test_bad_splits_are_refused():
    labels, pool = split()
    with pytest.raises(InvalidInput, match="in the pool and in the test"):
        SplitSampler(labels, pool=pool, test=torch.ones_like(pool))
    with pytest.raises(InvalidInput, match=r"pool must be bool of shape \(24,\), found torch.int64"):
        SplitSampler(labels, pool=pool.long(), test=~pool)
    with pytest.raises(SamplingError, match="no item is in the test"):
        SplitSampler(labels, pool=pool, test=pool & False)
    with pytest.raises(InvalidInput, match="validation must be an integer of at least 0"):
        SplitSampler(labels, pool=pool, test=~pool, validation=-1)


def test_without_a_pool_all_is_asked():
    labels, pool = split()
    nothing, all_of_it = torch.zeros_like(pool), torch.ones_like(pool)
    episodes = SplitSampler(labels, pool=nothing, test=all_of_it, shots=0).sample(2)
    episodes.check(labels)
    assert episodes.support.shape == (2, 0)
    assert episodes.query.shape == (2, len(labels))
    with pytest.raises(SamplingError, match="no item is in the pool"):
        SplitSampler(labels, pool=nothing, test=all_of_it, shots=1)


def halves(new_tests=(3, 1)):
    """Labels, pool and test where classes 0 to 2 are learned, and others asked for."""
    labels, pool = split(sizes=(6, 5, 7, 4, 4), tests=(2, 3, 1, *new_tests))
    return labels, pool & (labels < 3), ~pool & (labels >= 3)


def test_new_classes_are_asked_of_supports_that_have_none_of_them():
    labels, pool, test = halves()
    episodes = SplitSampler(labels, pool=pool, test=test, shots=3, new=True).sample(10)
    episodes.check(labels)
    assert episodes.classes[0].tolist() == [0, 1, 2]
    assert episodes.query_classes[0].tolist() == [3, 4]
    assert (labels[episodes.query] == episodes.query_classes.gather(1, episodes.query_labels)).all()
    known = SplitSampler(labels, pool=pool, test=~pool & (labels < 3), shots=3).sample(10)
    assert torch.equal(episodes.support, known.support)
    assert known.classes[0].tolist() == [0, 1, 2], "classes of neither part are left out without a word"


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("all", "class 0 is in the pool and in the test; with new=True, classes may not meet"),
        ("one", "too few classes with 1 items in the test: 2 needed, 1 found"),
    ],
)
def test_new_classes_that_cannot_be_asked_for_are_refused(test, reason):
    labels, pool, asked = halves()
    asked = ~pool if test == "all" else asked & (labels == 3)
    with pytest.raises((InvalidInput, SamplingError), match=reason):
        SplitSampler(labels, pool=pool, test=asked, shots=3, new=True)
