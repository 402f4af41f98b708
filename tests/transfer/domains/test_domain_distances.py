"""Distances between domains, against float64 loops written from the papers' formulas."""

import math
import random
from itertools import combinations

import pytest
import torch

from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.domains.distances import (
    KERNELS,
    GaussianKernel,
    GaussianMixtureKernel,
    LaplacianKernel,
    LinearKernel,
    PolynomialKernel,
    coral_distance,
    kernel_for,
    median_distance,
    mmd_squared,
    mmd_test,
    proxy_a_distance,
    relative_coral_distance,
)
from fewshot.transfer.domains.distances.proxy_a import wilson


def dot(x, y):
    return sum(a * b for a, b in zip(x, y, strict=True))


def square(x, y):
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


# each kernel beside its formula on two lists of numbers
FORMULAS = {
    LinearKernel(): dot,
    PolynomialKernel(3, 0.5, 2.0): lambda x, y: (0.5 * dot(x, y) + 2) ** 3,
    GaussianKernel(1.3): lambda x, y: math.exp(-square(x, y) / (2 * 1.3**2)),
    GaussianMixtureKernel((0.5, 2.0)): lambda x, y: (
        (math.exp(-square(x, y) / (2 * 0.25)) + math.exp(-square(x, y) / (2 * 4.0))) / 2
    ),
    LaplacianKernel(0.9): lambda x, y: math.exp(-sum(abs(a - b) for a, b in zip(x, y, strict=True)) / 0.9),
}


def loop_mmd(xs, ys, k, unbiased):
    """Equations 3 and 5 of Gretton et al. 2012."""
    n, m = len(xs), len(ys)
    within_x = sum(k(xs[i], xs[j]) for i in range(n) for j in range(n) if i != j or not unbiased)
    within_y = sum(k(ys[i], ys[j]) for i in range(m) for j in range(m) if i != j or not unbiased)
    between = sum(k(x, y) for x in xs for y in ys)
    if unbiased:
        return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)
    return within_x / n**2 + within_y / m**2 - 2 * between / (n * m)


def two_samples(first, second, dim, shift=0.7):
    return torch.randn(first, dim, dtype=torch.float64), torch.randn(second, dim, dtype=torch.float64) + shift


@pytest.mark.parametrize("kernel", FORMULAS, ids=lambda kernel: type(kernel).__name__)
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize(("first", "second", "dim", "block"), [(7, 5, 3, 4), (2, 9, 1, 100), (6, 6, 4, 1)])
def test_mmd_is_the_formula(kernel, unbiased, first, second, dim, block) -> None:
    source, target = two_samples(first, second, dim)
    expected = loop_mmd(source.tolist(), target.tolist(), FORMULAS[kernel], unbiased)
    assert mmd_squared(source, target, kernel, unbiased, block) == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_linear_mmd_is_the_distance_of_the_means() -> None:
    source, target = two_samples(20, 30, 5)
    expected = float((source.mean(0) - target.mean(0)).square().sum())
    assert mmd_squared(source, target, "linear", unbiased=False) == pytest.approx(expected, rel=1e-10)


def test_biased_mmd_of_a_sample_with_itself_is_zero() -> None:
    source, _ = two_samples(12, 2, 3)
    for name in KERNELS:
        assert mmd_squared(source, source, name, unbiased=False) == pytest.approx(0, abs=1e-12)


def test_median_is_over_all_different_pairs() -> None:
    source, target = two_samples(5, 4, 3)
    pooled = torch.cat([source, target]).tolist()
    euclidean = sorted(math.sqrt(square(x, y)) for x, y in combinations(pooled, 2))
    city = sorted(sum(abs(a - b) for a, b in zip(x, y, strict=True)) for x, y in combinations(pooled, 2))
    assert median_distance(source, target) == pytest.approx(euclidean[(len(euclidean) - 1) // 2])
    assert median_distance(source, target, p=1) == pytest.approx(city[(len(city) - 1) // 2])
    assert kernel_for("gaussian", source, target).bandwidth == pytest.approx(median_distance(source, target))


@pytest.mark.parametrize(("first", "second"), [(4, 4), (3, 5), (2, 3)])
def test_tiny_samples_are_tested_exactly(first, second) -> None:
    source, target = two_samples(first, second, 2)
    kernel, formula = GaussianKernel(1.3), FORMULAS[GaussianKernel(1.3)]
    pooled = torch.cat([source, target]).tolist()
    values = []
    for chosen in combinations(range(first + second), first):
        left = [pooled[i] for i in chosen]
        right = [pooled[i] for i in range(first + second) if i not in chosen]
        values.append(loop_mmd(left, right, formula, unbiased=True))
    expected = sum(value >= values[0] - 1e-12 for value in values) / len(values)
    found = mmd_test(source, target, kernel, permutations=500)
    assert found.exact
    assert found.permutations == len(values) - 1
    assert found.p_value == pytest.approx(expected)
    assert found.squared == pytest.approx(values[0])


def test_random_permutations_are_those_of_a_loop() -> None:
    source, target = two_samples(15, 12, 2, shift=0.3)
    kernel, formula = GaussianKernel(1.0), lambda x, y: math.exp(-square(x, y) / 2)
    found = mmd_test(source, target, kernel, permutations=2000)
    pooled, draw = torch.cat([source, target]).tolist(), random.Random(1)
    matrix = [[formula(x, y) for y in pooled] for x in pooled]
    observed = loop_mmd(range(15), range(15, 27), lambda i, j: matrix[i][j], True)
    reached = 1
    for _ in range(2000):
        order = draw.sample(range(27), 27)
        reached += loop_mmd(order[:15], order[15:], lambda i, j: matrix[i][j], True) >= observed
    # two independent estimates of one probability
    assert found.p_value == pytest.approx(reached / 2001, abs=4 * math.sqrt(2 * 0.25 / 2000))
    assert not found.exact


def test_p_values_are_uniform_where_nothing_differs_and_small_where_something_does() -> None:
    same = torch.tensor([mmd_test(*two_samples(20, 20, 3, 0.0), "gaussian", 99, 2, seed=i).p_value for i in range(200)])
    # of 200 uniform p values 10 lie below .05, 100 below .5; the limits are four standard deviations
    assert (same <= 0.05).sum() <= 10 + 4 * math.sqrt(200 * 0.05 * 0.95)
    assert abs(int((same <= 0.5).sum()) - 100) <= 4 * math.sqrt(200 * 0.25)
    assert mmd_test(*two_samples(40, 40, 3, 1.5), permutations=199).p_value == pytest.approx(1 / 200)


def test_bootstrap_interval_covers_the_value_of_a_known_shift() -> None:
    # two Gaussians of variance 1 a mean apart, kernel of bandwidth s in dimension d: closed form of the population
    shift, bandwidth, dim, covered = 1.0, 1.0, 2, 0
    scale = (bandwidth**2 / (bandwidth**2 + 2)) ** (dim / 2)
    truth = 2 * scale * (1 - math.exp(-dim * shift**2 / (2 * (bandwidth**2 + 2))))
    for seed in range(60):
        found = mmd_test(*two_samples(80, 80, dim, shift), GaussianKernel(bandwidth), 1, 200, seed)
        covered += found.low <= truth <= found.high
    assert covered >= 60 * 0.95 - 4 * math.sqrt(60 * 0.95 * 0.05)


def test_blocks_and_types_change_nothing() -> None:
    source, target = two_samples(130, 90, 6)
    whole = mmd_test(source, target, "multi-gaussian", 50, 20)
    pieces = mmd_test(source, target, "multi-gaussian", 50, 20, block=17)
    assert pieces.squared == pytest.approx(whole.squared, rel=1e-12)
    assert (pieces.p_value, pieces.low, pieces.high) == pytest.approx((whole.p_value, whole.low, whole.high))
    assert mmd_squared(source.float(), target.float()) == pytest.approx(mmd_squared(source, target), rel=1e-4)


def test_coral_is_the_formula() -> None:
    source, target = two_samples(9, 7, 3)
    target = target * 2
    expected = 0.0
    for i in range(3):
        for j in range(3):
            parts = []
            for rows in (source.tolist(), target.tolist()):
                means = [sum(row[c] for row in rows) / len(rows) for c in range(3)]
                covariance = sum((row[i] - means[i]) * (row[j] - means[j]) for row in rows) / (len(rows) - 1)
                parts.append(covariance)
            expected += (parts[0] - parts[1]) ** 2
    assert coral_distance(source, target) == pytest.approx(expected / (4 * 3**2), rel=1e-10)
    assert relative_coral_distance(source, target) == pytest.approx(relative_coral_distance(10 * source, 10 * target))
    assert relative_coral_distance(source, source) == pytest.approx(0, abs=1e-7)


def test_proxy_a_distance() -> None:
    far = proxy_a_distance(*two_samples(60, 80, 4, shift=8.0))
    assert far.error == 0
    assert (far.value, far.high, far.count) == (2, 2, 120)
    assert far.low == pytest.approx(2 * (1 - 2 * wilson(0, 120)[1]))
    near = proxy_a_distance(*two_samples(400, 400, 4, shift=0.0))
    assert near.low < 0 < near.high
    # two Gaussians d apart: the best classifier is wrong with probability Phi(-d / 2)
    known = proxy_a_distance(*two_samples(1000, 1000, 1, shift=2.0), most=1000)
    error = 0.5 * math.erfc(1 / math.sqrt(2))
    assert known.low <= 2 * (1 - 2 * error) <= known.high


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (3, 10), (10, 10), (37, 200)])
def test_wilson_solves_its_equation(hits, count) -> None:
    for bound in wilson(hits, count):
        if 1e-9 < bound < 1 - 1e-9:  # a bound at the end of the range is cut there
            z = (hits / count - bound) / math.sqrt(bound * (1 - bound) / count)
            assert abs(z) == pytest.approx(1.959963984540054)


def test_what_cannot_be_measured_is_told() -> None:
    items = torch.randn(10, 3)
    with pytest.raises(InvalidInput, match="same dimensions"):
        mmd_squared(items, torch.randn(10, 4))
    with pytest.raises(InvalidInput, match="item 4 of target holds NaN"):
        mmd_squared(items, torch.where(torch.arange(10)[:, None] == 4, torch.nan, items))
    with pytest.raises(InvalidInput, match="source needs 2 items or more, found 1"):
        mmd_squared(items[:1], items)
    with pytest.raises(InvalidInput, match="constant features"):
        proxy_a_distance(torch.ones(10, 3), items)
    with pytest.raises(InvalidInput, match="constant features"):
        coral_distance(items, torch.ones(10, 3))
    with pytest.raises(InvalidInput, match="half of all pairs"):
        mmd_squared(torch.ones(10, 3), torch.ones(10, 3))
    with pytest.raises(InvalidInput, match="5 folds need"):
        proxy_a_distance(items[:4], items)
    with pytest.raises(UnknownName, match="gaussian"):
        mmd_squared(items, items, "gausian")
    with pytest.raises(InvalidInput, match="1 permutation"):
        mmd_test(items, items, permutations=0)
