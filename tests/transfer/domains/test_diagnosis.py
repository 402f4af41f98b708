"""The diagnosis of a shift: each kind made on purpose is named, and nothing is named where there is nothing."""

import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.transfer.domains import diagnose_shift
from fewshot.transfer.domains.concept import concept_shift_test
from fewshot.transfer.domains.diagnosis import resampled


def drawn(shares, count=600, dim=5, seed=0):
    """Items of as many Gaussian classes as there are shares, 3 apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(torch.tensor(shares), count, replacement=True, generator=generator)
    centres = 3 * torch.eye(dim)[: len(shares)]
    return centres[labels] + torch.randn(count, dim, generator=generator), labels


EVEN = [1 / 3, 1 / 3, 1 / 3]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_shift_is_seen_where_there_is_none(seed) -> None:
    source, labels = drawn(EVEN, seed=10 + seed)
    found = diagnose_shift(source, labels, *drawn(EVEN, seed=seed), permutations=200)
    assert found.kinds == ()
    assert found.helps == ()
    assert found.words == ("No shift is seen: a classifier of the source should do.",)


def test_label_shift_is_named() -> None:
    source, labels = drawn(EVEN)
    target, truth = drawn([0.7, 0.2, 0.1], seed=1)
    for given in (truth, None):
        found = diagnose_shift(source, labels, target, given, permutations=200)
        assert found.kinds == ("label",)
        assert found.helps == ("bbse", "em")
        assert found.mmd.p_value < 0.01 < found.within_classes.p_value
        assert found.shares == pytest.approx((torch.bincount(truth) / len(truth)).tolist(), abs=0.05)


def test_covariate_shift_is_named() -> None:
    source, labels = drawn(EVEN)
    target, truth = drawn(EVEN, seed=1)
    target[:, 4] += 2  # a feature that no class depends on
    for given in (truth, None):
        found = diagnose_shift(source, labels, target, given, permutations=200)
        assert found.kinds == ("covariate",)
        assert "coral" in found.helps
        assert "rulsif" in found.helps
    assert "concept shift cannot be seen" in found.words[-1]


def test_concept_shift_is_named_where_the_target_has_labels() -> None:
    source, labels = drawn(EVEN)
    target, truth = drawn(EVEN, seed=1)
    found = diagnose_shift(source, labels, target, (truth + 1) % 3, permutations=200)
    assert found.kinds == ("concept",)
    assert found.helps == ("target-labels",)
    assert diagnose_shift(source, labels, target, permutations=200).kinds == ()


def test_domains_that_do_not_overlap_are_told_of() -> None:
    source, labels = drawn(EVEN)
    target, _ = drawn(EVEN, seed=1)
    found = diagnose_shift(source, labels, target + 10, permutations=200)
    assert any("hardly overlap" in sentence for sentence in found.words)
    assert "rulsif" not in found.helps


def test_domains_centred_on_their_own_are_told_of() -> None:
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randn(60, 200, generator=generator) for _ in range(2))
    labels = torch.arange(60) % 2
    source, target = source - source.mean(0), target - target.mean(0) + 0.0
    assert any("centred on its own" in sentence for sentence in diagnose_shift(source, labels, target).words)


def test_json_holds_everything() -> None:
    source, labels = drawn(EVEN)
    found = diagnose_shift(source, labels, *drawn(EVEN, seed=1), permutations=199).to_json()
    assert found["mmd"]["p_value"] > 0.01
    assert set(found["concept"]) == {"gain", "half_width", "p_value", "count"}
    assert found["labelled"] is True


def test_concept_test_is_calibrated_and_sure() -> None:
    low = 0
    for seed in range(10):
        same = concept_shift_test(*drawn(EVEN, 150, seed=seed), *drawn(EVEN, 150, seed=100 + seed), folds=3)
        low += same.p_value < 0.05
    assert low <= 2
    source, labels = drawn(EVEN)
    target, truth = drawn(EVEN, seed=1)
    other = concept_shift_test(source, labels, target, (truth + 1) % 3)
    assert other.p_value < 1e-6
    assert other.gain - other.half_width > 0


def test_resampling_gives_the_shares_without_repetition() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    shares = torch.tensor([0.25, 0.5, 0.25])
    chosen = resampled(labels, shares, torch.Generator().manual_seed(0))
    assert len(chosen.unique()) == len(chosen)
    assert torch.bincount(labels[chosen]).tolist() == [10, 20, 10]
    # a class that the source lacks cannot be drawn
    assert torch.bincount(
        labels[resampled(labels, torch.tensor([0.5, 0.0, 0.25, 0.25]), torch.Generator())]
    ).tolist() == [
        20,
        0,
        10,
    ]


def test_bad_input_is_told() -> None:
    source, labels = drawn(EVEN)
    with pytest.raises(InvalidInput, match="more than 100 permutations"):
        diagnose_shift(source, labels, source, permutations=99)
    with pytest.raises(InvalidInput, match="source has one class only"):
        diagnose_shift(source, torch.zeros(600).long(), source)
    with pytest.raises(InvalidInput, match="target has one class only"):
        diagnose_shift(source, labels, source, torch.zeros(600).long())
    with pytest.raises(InvalidInput, match="constant features"):
        diagnose_shift(source, labels, torch.ones(600, 5))
    with pytest.raises(InvalidInput, match="same dimensions"):
        diagnose_shift(source, labels, source[:, :4])
    with pytest.raises(InvalidInput, match="found a class with 1"):
        diagnose_shift(source, labels.clone().index_fill_(0, torch.tensor([0]), 7), source)
    with pytest.raises(InvalidInput, match="5 folds need"):
        concept_shift_test(source[:3], labels[:3], source, labels)
