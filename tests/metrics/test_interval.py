import math

import pytest
import torch
from scipy import stats

from fewshot.errors import InvalidInput
from fewshot.metrics import accuracy_interval, paired_test
from fewshot.metrics.interval import t_quantile, t_tails


@pytest.mark.parametrize("df", [1, 2, 3, 5, 10, 30, 99, 100, 101, 150, 399, 400, 401, 599, 9999, 10**5, 10**6])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, 0.99, 0.999])
def test_quantile_and_tails_equal_scipy(confidence, df):
    t = stats.t.ppf((1 + confidence) / 2, df)
    assert t_quantile(confidence, df) == pytest.approx(t, rel=1e-10)
    assert t_tails(-t, df) == pytest.approx(1 - confidence, rel=1e-8)


@pytest.mark.parametrize("t", [0.0, 0.3, 4.0, 9.0])
@pytest.mark.parametrize("df", [1, 7, 599, 10**5])
def test_tails_equal_scipy_far_out(t, df):
    assert t_tails(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-7)


@pytest.mark.parametrize("count", [2, 3, 600])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_interval_equals_scipy(count, dtype):
    values = torch.rand(count, generator=torch.Generator().manual_seed(count), dtype=dtype)
    found = accuracy_interval(values)
    wide = values.double().numpy()
    low, high = stats.t.interval(0.95, count - 1, wide.mean(), stats.sem(wide))
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high), rel=1e-9)
    assert (found.count, found.std) == (count, pytest.approx(wide.std(ddof=1)))


def test_interval_of_one_task_has_no_width():
    found = accuracy_interval(torch.tensor([0.75]))
    assert (found.mean, found.count) == (0.75, 1)
    assert math.isnan(found.half_width)
    assert math.isnan(found.std)


def test_interval_covers_the_truth_as_often_as_it_says():
    draws = torch.rand(2000, 12, generator=torch.Generator().manual_seed(0))
    found = [accuracy_interval(row, confidence=0.9) for row in draws]
    hits = sum(abs(each.mean - 0.5) < each.half_width for each in found)
    assert stats.binomtest(hits, 2000, 0.9).pvalue > 1e-3


def test_interval_reads_well():
    assert str(accuracy_interval(torch.tensor([0.5, 0.7]))) == "0.6000 ± 1.2706"


def test_paired_test_equals_scipy():
    generator = torch.Generator().manual_seed(1)
    a = torch.rand(50, generator=generator)
    b = a + 0.05 * torch.rand(50, generator=generator) - 0.02
    found, expected = paired_test(a, b), stats.ttest_rel(a.double(), b.double())
    low, high = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-7)
    assert found.difference.mean == pytest.approx((low + high) / 2)
    assert found.difference.half_width == pytest.approx((high - low) / 2)
    assert found.significant == (expected.pvalue < 0.05)


def test_paired_test_without_spread():
    ones = torch.ones(4)
    assert paired_test(ones, ones).p_value == 1.0
    assert paired_test(ones, ones / 2).p_value == 0.0
    single = paired_test(ones[:1], ones[:1])
    assert math.isnan(single.p_value)
    assert not single.significant


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(0), r"per_episode must be one number a task, at least one, found shape \(0,\)"),
        (torch.zeros(2, 2), r"found shape \(2, 2\)"),
        (torch.tensor([0.5, torch.nan, torch.inf]), "must be finite, found NaN or infinity for task 1"),
    ],
)
def test_interval_refuses(values, message):
    with pytest.raises(InvalidInput, match=message):
        accuracy_interval(values)


def test_other_refusals():
    with pytest.raises(InvalidInput, match="confidence must lie between 0 and 1, found 95"):
        accuracy_interval(torch.rand(3), confidence=95)
    with pytest.raises(InvalidInput, match="a and b must score the same tasks, found 3 and 4"):
        paired_test(torch.rand(3), torch.rand(4))
