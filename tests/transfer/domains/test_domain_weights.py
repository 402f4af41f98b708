"""Weights for covariate and label shift, against loops, general solvers and known densities."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, minimize
from scipy.stats import chi2_contingency

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.distances import GaussianKernel
from fewshot.transfer.domains.label_shift import adjust, bbse_weights, em_shares, label_shift_test
from fewshot.transfer.domains.weighting import (
    density_ratio_weights,
    discriminator_weights,
    effective_size,
    kliep_weights,
    kmm_weights,
)
from fewshot.transfer.domains.weighting.kmm import project


def gauss(x, y, bandwidth):
    return math.exp(-sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / (2 * bandwidth**2))


def loop_matrix(left, right, bandwidth):
    return np.array([[gauss(x, y, bandwidth) for y in right.tolist()] for x in left.tolist()])


def two_domains(first=12, second=9, dim=2):
    return torch.randn(first, dim, dtype=torch.float64), torch.randn(second, dim, dtype=torch.float64) + 0.5


@pytest.mark.parametrize(("most", "slack"), [(1000.0, 0.5), (1.5, 0.1), (3.0, 0.0)])
def test_kmm_solves_its_quadratic_programme(most, slack) -> None:
    source, target = two_domains()
    found = kmm_weights(source, target, GaussianKernel(1.1), most, slack)
    matrix = loop_matrix(source, source, 1.1)
    pull = loop_matrix(source, target, 1.1).sum(1) * 12 / 9
    best = minimize(
        lambda w: w @ matrix @ w / 2 - pull @ w,
        np.ones(12),
        jac=lambda w: matrix @ w - pull,
        bounds=[(0, most)] * 12,
        constraints=LinearConstraint(np.ones(12), 12 * (1 - slack), 12 * (1 + slack)),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    value = found.numpy() @ matrix @ found.numpy() / 2 - pull @ found.numpy()
    assert value == pytest.approx(best.fun, abs=1e-6)
    assert 0 <= float(found.min()) <= float(found.max()) <= most
    assert 1 - slack - 1e-9 <= float(found.mean()) <= 1 + slack + 1e-9


@pytest.mark.parametrize(("low", "high"), [(1.0, 2.0), (5.0, 6.0), (2.9, 3.1)])
def test_projection_is_the_nearest_point(low, high) -> None:
    weights = torch.randn(6, dtype=torch.float64)
    found = project(weights, 1.2, low, high)
    best = minimize(
        lambda w: ((w - weights.numpy()) ** 2).sum(),
        np.full(6, 0.5),
        bounds=[(0, 1.2)] * 6,
        constraints=LinearConstraint(np.ones(6), low, high),
        method="SLSQP",
        options={"ftol": 1e-15},
    )
    assert np.allclose(found, best.x, atol=1e-6)


def test_kliep_solves_its_convex_problem() -> None:
    source, target = two_domains(15, 10)
    found = kliep_weights(source, target, GaussianKernel(0.8), centres=10)
    over_source, over_target = loop_matrix(source, target, 0.8), loop_matrix(target, target, 0.8)
    best = minimize(
        lambda a: -np.log(over_target @ a).mean(),
        np.full(10, 1 / over_source.mean(0).sum()),
        bounds=[(0, None)] * 10,
        constraints=LinearConstraint(over_source.mean(0), 1, 1),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert np.allclose(found, over_source @ best.x, atol=1e-3)
    assert float(found.mean()) == pytest.approx(1)


@pytest.mark.parametrize("relative", [0.0, 0.3])
def test_density_ratio_solves_its_least_squares(relative) -> None:
    source, target = two_domains(15, 10)
    found = density_ratio_weights(source, target, relative, 0.2, GaussianKernel(0.8), centres=10)
    over_source, over_target = loop_matrix(source, target, 0.8), loop_matrix(target, target, 0.8)
    squares, mean = np.zeros((10, 10)), np.zeros(10)
    for c in range(10):
        mean[c] = sum(over_target[j, c] for j in range(10)) / 10
        for d in range(10):
            squares[c, d] += (1 - relative) * sum(over_source[i, c] * over_source[i, d] for i in range(15)) / 15
            squares[c, d] += relative * sum(over_target[j, c] * over_target[j, d] for j in range(10)) / 10
    theta = np.linalg.inv(squares + 0.2 * np.eye(10)) @ mean
    assert np.allclose(found, np.maximum(over_source @ theta, 0), atol=1e-10)


@pytest.mark.parametrize(
    "weigh",
    [
        kmm_weights,
        kliep_weights,
        lambda s, t: density_ratio_weights(s, t, 0.0),
        lambda s, t: discriminator_weights(s, t, strength=1.0),
    ],
    ids=["kmm", "kliep", "ulsif", "discriminator"],
)
def test_weights_follow_the_true_ratio_of_densities(weigh) -> None:
    # N(0, 1) to N(0.5, 1): the ratio is exp(x / 2 - 1/8)
    source = torch.randn(600, 1, dtype=torch.float64)
    target = torch.randn(600, 1, dtype=torch.float64) + 0.5
    found = weigh(source, target)
    truth = (source[:, 0] / 2 - 0.125).exp()
    # kernel mean matching answers for the mean in the kernel's space, not for each weight
    if weigh is not kmm_weights:
        assert float(torch.corrcoef(torch.stack([found, truth]))[0, 1]) > 0.85
    weighted = float((found * source[:, 0]).sum() / found.sum())
    assert abs(weighted - 0.5) < abs(float(source.mean()) - 0.5) / 2


def test_effective_size() -> None:
    assert effective_size(torch.ones(7)) == pytest.approx(7)
    assert effective_size(torch.tensor([0.0, 3.0])) == pytest.approx(1)
    assert effective_size(torch.zeros(3)) == 0


def test_bbse_is_the_formula_and_finds_the_truth() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    predictions = torch.tensor([0, 1, 1, 1, 2, 0])
    target = torch.tensor([0, 0, 1, 2, 2, 2, 2])
    joint = np.zeros((3, 3))
    for y, p in zip(labels.tolist(), predictions.tolist(), strict=True):
        joint[p, y] += 1 / 6
    expected = np.linalg.inv(joint) @ (np.array([2, 1, 4]) / 7)
    assert np.allclose(bbse_weights(labels, predictions, target, 3), np.maximum(expected, 0))
    with pytest.raises(InvalidInput, match=r"never predicts \[2\]"):
        bbse_weights(labels, torch.tensor([0, 0, 1, 1, 0, 1]), target, 3)


def loop_em(posteriors, priors, rounds):
    shares = list(priors)
    for _ in range(rounds):
        total = [0.0] * len(priors)
        for row in posteriors:
            moved = [p * shares[c] / priors[c] for c, p in enumerate(row)]
            for c, value in enumerate(moved):
                total[c] += value / sum(moved) / len(posteriors)
        shares = total
    return shares


def test_em_is_the_loop_and_finds_the_truth() -> None:
    priors = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    posteriors = torch.rand(20, 3, dtype=torch.float64).softmax(1)
    assert em_shares(posteriors, priors, steps=7, tolerance=0)[0].tolist() == pytest.approx(
        loop_em(posteriors.tolist(), priors.tolist(), 7)
    )
    # two Gaussians 2 apart with exact posteriors under even shares; the target has 85 % of the second
    labels = (torch.rand(20000) < 0.85).double()
    items = torch.randn(20000, dtype=torch.float64) + 2 * labels
    chance = torch.sigmoid(2 * items - 2)
    shares, adjusted = em_shares(torch.stack([1 - chance, chance], 1), torch.tensor([0.5, 0.5]))
    assert float(shares[1]) == pytest.approx(float(labels.mean()), abs=0.01)
    assert torch.allclose(adjusted[:, 1], torch.sigmoid(2 * items - 2 + (shares[1] / shares[0]).log()))


def test_adjusting_to_the_same_shares_changes_nothing() -> None:
    posteriors, shares = torch.rand(5, 4).softmax(1).double(), torch.rand(4).double()
    assert torch.allclose(adjust(posteriors, shares, shares), posteriors)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_chi_square_is_that_of_scipy(classes) -> None:
    source, target = torch.randint(classes, (60,)), torch.randint(classes, (45,)).clamp(max=2)
    table = [np.bincount(part, minlength=classes) for part in (source, target)]
    expected = chi2_contingency(np.array(table), correction=False)
    found = label_shift_test(source, target, classes + 2)  # two classes that neither has
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert found.freedom == classes - 1


def test_one_label_only_has_no_shift() -> None:
    assert label_shift_test(torch.ones(5).long(), torch.ones(9).long(), 3).p_value == 1


def test_bad_input_is_told() -> None:
    items = torch.randn(10, 2)
    for weigh in (kmm_weights, kliep_weights, density_ratio_weights, discriminator_weights):
        with pytest.raises(InvalidInput, match="constant features"):
            weigh(torch.zeros(10, 2), items)
        with pytest.raises(InvalidInput, match="same dimensions"):
            weigh(items, torch.randn(10, 3))
        with pytest.raises(InvalidInput, match="NaN"):
            weigh(items, items * torch.nan)
    with pytest.raises(InvalidInput, match="relative must lie"):
        density_ratio_weights(items, items, relative=1.0)
    with pytest.raises(InvalidInput, match="sum to 1"):
        em_shares(torch.ones(3, 2), torch.ones(2))
    with pytest.raises(InvalidInput, match="share above zero"):
        em_shares(torch.ones(3, 2) / 2, torch.tensor([1.0, 0.0]))
