from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fewshot.errors import FewshotWarning, InvalidInput
from fewshot.learners import BaseStatistics, DistributionCalibration
from fewshot.learners.inductive import logistic_of_many
from fewshot.learners.inductive.distribution_calibration import spread_of

FEW = DistributionCalibration(samples=60, steps=3000)


def transformed(x, power):
    return np.where(x < 0, -1, 1) * (np.abs(x) + 1e-6) ** power


def reference(support, labels, query, base, noise, learner):
    """Equations 3 to 6 of the paper with given noise, and scikit-learn's regression on support and samples."""
    support, query = transformed(support, learner.power), transformed(query, learner.power)
    rows, targets = list(support), list(labels)
    features = transformed(base.features.numpy().astype(np.float64), learner.base_power)
    means = np.stack([features[base.labels.numpy() == c].mean(0) for c in range(len(noise))])
    for way in range(labels.max() + 1):
        items = sorted(support[labels == way], key=np.sum)
        each = learner.samples // len(items)
        for number, item in enumerate(items):
            near = np.argsort(np.linalg.norm(means - item, axis=1))[: learner.neighbours]
            mean = (means[near].sum(0) + item) / (len(near) + 1)
            for draw in range(number * each, (number + 1) * each):
                rows.append(mean + sum(noise[c][draw] for c in near))
                targets.append(way)
    if labels.max() == 0:
        return np.ones((len(query), 1))
    # two classes are fitted there with one weight vector w = (v, -v); |w|² is twice that, so C counts double
    C = learner.C * (2 if labels.max() == 1 else 1)
    model = LogisticRegression(C=C, tol=1e-9, max_iter=10_000)
    return model.fit(np.stack(rows), targets).predict_proba(query)


def noise_of(base, learner):
    found = spread_of(base, learner.base_power, learner.spread, learner.neighbours, learner.samples)
    return (found.noise.double() @ found.axes.double().mT).numpy()


@pytest.mark.parametrize("settings", [{}, {"neighbours": 3, "spread": 0.0, "power": 1.0, "base_power": 0.5, "C": 0.1}])
def test_it_follows_the_paper(grid_tasks, settings, monkeypatch):
    monkeypatch.setattr(logistic_of_many, "TOLERANCE", 1e-5)
    tasks, learner = grid_tasks, replace(FEW, **settings)
    base = tasks.base.fitted_to(tasks.support.double())
    head = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, base)
    found = head(tasks.query.double()).softmax(-1)
    for task in range(2):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        arrays = support.astype(np.float64), labels, query.astype(np.float64)
        expected = reference(*arrays, base, noise_of(base, learner), learner)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


def test_solver_stops_near_the_optimum(make_tasks, monkeypatch):
    tasks = make_tasks(dim=64, shots=5)
    found = FEW.fit(tasks.support, tasks.labels, 5, tasks.base)(tasks.query).softmax(-1)
    monkeypatch.setattr(logistic_of_many, "TOLERANCE", 1e-5)
    exact = FEW.fit(tasks.support.double(), tasks.labels, 5, tasks.base)(tasks.query.double()).softmax(-1)
    torch.testing.assert_close(found.double(), exact, atol=3e-3, rtol=0)


def test_noise_has_the_covariance_of_base_classes():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(300, 3, generator=draw) @ torch.randn(3, 3, generator=draw)
    base = BaseStatistics.from_features(features, torch.arange(2).repeat_interleave(150))
    learner = replace(FEW, base_power=1.0, samples=200_000)
    found = np.cov(noise_of(base, learner).sum(0).T)
    expected = sum(np.cov(part.numpy().T) for part in features.split(150)) / 2 + learner.spread
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.03)


def test_items_of_a_class_share_the_samples(make_tasks):
    """Three items of one class and one of another: 20 and 60 samples an item."""
    tasks = make_tasks(tasks=1, ways=2, shots=3, dim=8)
    keep = (tasks.labels[0] == 0) | (torch.arange(6) == tasks.labels[0].argmax())
    support, labels = tasks.support[:, keep], tasks.labels[:, keep]
    found = FEW.fit(support, labels, 2, tasks.base)(tasks.query).softmax(-1)[0]
    arrays = support[0].numpy().astype(np.float64), labels[0].numpy(), tasks.query[0].numpy().astype(np.float64)
    expected = reference(*arrays, tasks.base, noise_of(tasks.base, FEW), FEW)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_too_few_steps_are_told(make_tasks):
    tasks = make_tasks()
    with pytest.warns(FewshotWarning, match="4 of 4 tasks had not converged after 2 steps; raise steps or lower C"):
        DistributionCalibration(steps=2).fit(tasks.support, tasks.labels, 5, tasks.base)


@pytest.mark.parametrize("setting", ["neighbours", "samples", "power", "base_power", "C", "steps"])
def test_settings_must_be_above_zero(setting):
    with pytest.raises(InvalidInput, match=f"distribution-calibration: {setting} must be above zero"):
        DistributionCalibration(**{setting: 0})
    with pytest.raises(InvalidInput, match="spread must be zero or more"):
        DistributionCalibration(spread=-1.0)
