"""Comparisons: paired over the same episodes, corrected for their number."""

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from results import make_result

from fewshot.benchmark import compare
from fewshot.benchmark.compare import holm
from fewshot.errors import InvalidInput


def test_pairing_sees_what_separate_intervals_hide() -> None:
    """Two learners 1 point apart on episodes whose hardness varies by 5: the intervals overlap, the pairs do not."""
    a, b = make_result(mean=0.61), make_result(learner="logistic", mean=0.60)
    assert a.accuracy - b.accuracy < a.ci95 + b.ci95
    (found,) = compare([a], [b])
    assert found.difference == pytest.approx(0.01)
    assert found.better == "a"
    assert compare([b], [a])[0].better == "b"


def test_agrees_with_scipy() -> None:
    a, b = make_result(seed=1), make_result(learner="logistic", seed=2, mean=0.61)
    (found,) = compare([a], [b])
    expected = scipy.stats.ttest_rel(a.per_episode.numpy(), b.per_episode.numpy())
    assert found.p_value == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (found.difference - found.ci95, found.difference + found.ci95) == pytest.approx((low, high))


def test_no_difference_shown() -> None:
    (found,) = compare([make_result(seed=1)], [make_result(learner="logistic", seed=2, mean=0.601)])
    assert found.better == ""


def test_only_like_is_compared_with_like() -> None:
    ours = [make_result(shots=shots, backbone=backbone) for shots in (1, 5) for backbone in ("timm:a", "timm:b")]
    theirs = [
        make_result("logistic", shots=shots, backbone=backbone) for shots in (1, 5) for backbone in ("timm:a", "timm:c")
    ]
    pairs = [(found.a, found.b) for found in compare(ours, theirs)]
    assert [(a.protocol.shots, a.backbone["name"], b.backbone["name"]) for a, b in pairs] == [
        (1, "timm:a", "timm:a"),
        (5, "timm:a", "timm:a"),
    ]


def test_backbones_are_compared_with_the_same_learner() -> None:
    (found,) = compare(
        [make_result(backbone="timm:a")], [make_result(backbone="timm:b"), make_result("logistic", backbone="timm:b")]
    )
    assert found.b.backbone["name"] == "timm:b"
    assert found.b.learner["name"] == "ridge"


def test_nothing_in_common() -> None:
    with pytest.raises(InvalidInput, match="none of the 1 and 1 results share data, protocol and episodes"):
        compare([make_result(shots=1)], [make_result("logistic", shots=5)])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm(p_values) -> None:
    adjusted = holm(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, index in enumerate(order):
        expected = max(min(1, (len(p_values) - other) * p_values[order[other]]) for other in range(rank + 1))
        assert adjusted[index] == pytest.approx(expected)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
