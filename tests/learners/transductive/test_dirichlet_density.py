import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize
from scipy.special import gammaln

from fewshot.learners.transductive.dirichlet import fit_dirichlet, log_density


def log_likelihood(alpha, mean):
    return gammaln(alpha.sum()) - gammaln(alpha).sum() + ((alpha - 1) * mean).sum()


def samples(alpha, count, seed=0):
    return np.random.default_rng(seed).dirichlet(alpha, count)


@pytest.mark.parametrize("alpha", [[1, 2, 3], [0.1, 0.2, 0.05, 0.4], [50, 3, 700], [0.02, 9]], ids=str)
def test_the_density_is_that_of_scipy(alpha):
    points = samples(alpha, 6)
    alpha = torch.tensor(alpha, dtype=torch.float64)[None, None]
    points = np.clip(points, 1e-12, None)
    points /= points.sum(1, keepdims=True)
    found = log_density(torch.tensor(points).log()[None], alpha, torch.ones_like(alpha, dtype=torch.bool))
    expected = [stats.dirichlet.logpdf(point / point.sum(), alpha[0, 0].numpy()) for point in points]
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-9)


@pytest.mark.parametrize("alpha", [[1, 2, 3], [0.1, 0.2, 0.05, 0.4], [50, 3, 700], [1, 1]], ids=str)
@pytest.mark.parametrize("count", [5, 200])
def test_the_parameters_are_the_likeliest(alpha, count):
    mean = np.log(samples(alpha, count) + 1e-15).mean(0)

    start = np.log(np.array(alpha, float))
    best = minimize(lambda log: -log_likelihood(np.exp(log), mean), start, method="BFGS", options={"gtol": 1e-9})
    mean = torch.tensor(mean)[None, None]
    found = fit_dirichlet(mean, torch.ones_like(mean, dtype=torch.bool))[0, 0]
    np.testing.assert_allclose(found, np.exp(best.x), rtol=1e-3)
    assert log_likelihood(found.numpy(), mean[0, 0].numpy()) >= -best.fun - 1e-9


@pytest.mark.parametrize("start", [1e-3, 1.0, 40.0, 1e3, 1e5], ids=str)
@pytest.mark.parametrize("shape", [[1, 2, 3], [0.1, 0.2, 0.05], [9000, 900, 100]], ids=str)
def test_every_start_leads_to_the_same_parameters(shape, start):
    mean = torch.tensor(np.log(samples(shape, 30) + 1e-15).mean(0))[None, None]
    real = torch.ones_like(mean, dtype=torch.bool)
    found = fit_dirichlet(mean, real, torch.full_like(mean, start))
    torch.testing.assert_close(found, fit_dirichlet(mean, real), rtol=1e-6, atol=0)


def test_every_class_is_fitted_by_itself():
    shapes = [1, 2, 3], [9000, 900, 100], [0.01, 0.02, 0.03]
    means = torch.stack([torch.tensor(np.log(samples(shape, 30) + 1e-15).mean(0)) for shape in shapes])[None]
    real = torch.ones_like(means, dtype=torch.bool)
    together = fit_dirichlet(means, real)
    for way in range(3):
        part = slice(way, way + 1)
        torch.testing.assert_close(fit_dirichlet(means[:, part], real[:, part]), together[:, part], rtol=1e-6, atol=0)


def test_parameters_that_do_not_count_stay_one_and_change_nothing():
    mean = torch.tensor(np.log(samples([1, 2, 3], 30)).mean(0))[None, None]
    wide = torch.cat([mean, torch.full((1, 1, 2), -7.0).double()], 2)
    real = torch.tensor([True] * 3 + [False] * 2)[None, None]
    found = fit_dirichlet(wide, real)
    alone = fit_dirichlet(mean, real[..., :3])
    torch.testing.assert_close(found[..., :3], alone)
    assert (found[..., 3:] == 1).all()
    logs = torch.zeros(1, 4, 5).double()
    torch.testing.assert_close(log_density(logs, found, real), log_density(logs[..., :3], alone, real[..., :3]))


def test_items_all_alike_give_a_narrow_density_around_them():
    point = torch.tensor([0.2, 0.3, 0.5]).double()[None, None]
    found = fit_dirichlet(point.log(), torch.ones_like(point, dtype=torch.bool))
    assert found.sum() == pytest.approx(1e6)
    torch.testing.assert_close(found / found.sum(), point, atol=1e-4, rtol=0)
