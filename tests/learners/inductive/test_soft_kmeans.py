import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fewshot.embeddings import EmbeddingTable
from fewshot.episodes import EpisodeSampler
from fewshot.errors import InvalidInput
from fewshot.learners import BaseStatistics, create_learner, evaluate
from fewshot.metrics import accuracy_interval


def reference(support, labels, unlabelled, query, distractors="none", radius=1.0, scale=1.0, steps=1):
    """Section 3 of the paper, one item at a time."""
    ways = labels.max() + 1
    prototypes = [support[labels == way].mean(0) for way in range(ways)]
    for _ in range(steps):
        sums = [support[labels == way].sum(0) for way in range(ways)]
        counts = [float((labels == way).sum()) for way in range(ways)]
        for item in unlabelled:
            weights = [math.exp(-scale * ((item - p) ** 2).sum()) for p in prototypes]
            total = sum(weights)
            if distractors == "cluster":
                total += math.exp(-scale * (item**2).sum() / radius**2 - math.log(radius))
            for way in range(ways):
                sums[way] = sums[way] + weights[way] / total * item
                counts[way] += weights[way] / total
        prototypes = [sums[way] / counts[way] for way in range(ways)]
    return [[-scale * ((x - p) ** 2).sum() for p in prototypes] for x in query]


SETTINGS = [
    {},
    {"steps": 3, "scale": 0.3},
    {"distractors": "cluster"},
    {"distractors": "cluster", "radius": 2.0, "scale": 0.5, "steps": 2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_it_follows_the_paper(grid_tasks, make_tasks, settings):
    tasks, dim = grid_tasks, grid_tasks.support.shape[2]
    unlabelled = make_tasks(tasks=len(tasks.support), ways=tasks.ways, queries=3, dim=dim, seed=9).query
    learner = create_learner("soft-kmeans", **settings)
    found = learner.fit(tasks.support, tasks.labels, tasks.ways, unlabelled=unlabelled)(tasks.query)
    for task in range(len(found)):
        items = (part[task].double().numpy() for part in (tasks.support, unlabelled, tasks.query))
        support, extra, query = items
        expected = reference(support, tasks.labels[task].numpy(), extra, query, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"distractors": "cluster"}])
def test_without_unlabelled_items_it_is_prototypical(make_tasks, settings):
    tasks = make_tasks()
    found, expected = (
        create_learner(name, **more).fit(tasks.support, tasks.labels, 5)(tasks.query)
        for name, more in (("soft-kmeans", settings), ("prototypical", {}))
    )
    assert torch.equal(found, expected)


def test_unlabelled_items_are_transformed_as_the_support_is(make_tasks):
    tasks = make_tasks()
    learner = create_learner("soft-kmeans", transform="CL2N", distractors="cluster")

    def transformed(items):
        return torch.nn.functional.normalize(items - tasks.base.mean, dim=-1)

    found = learner.fit(tasks.support, tasks.labels, 5, tasks.base, unlabelled=tasks.query)(tasks.query)
    plain = create_learner("soft-kmeans", distractors="cluster")
    support, query = transformed(tasks.support), transformed(tasks.query)
    torch.testing.assert_close(found, plain.fit(support, tasks.labels, 5, unlabelled=query)(query))


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    names, ids = tuple(map(str, range(10))), tuple(map(str, range(len(labels))))
    return EmbeddingTable(torch.tensor(images / 16).float(), torch.tensor(labels), names, ids)


@pytest.fixture(scope="module")
def accuracies(digits):
    """Of each learner on the same tasks, without and with five distractor classes among the unlabelled items."""
    base = BaseStatistics(digits.features.mean(0))
    settings = {"transform": "CL2N", "scale": 5.0}
    learners = {
        "labelled only": create_learner("simpleshot"),
        "soft": create_learner("soft-kmeans", **settings),
        "cluster": create_learner("soft-kmeans", distractors="cluster", **settings),
    }

    def score(distractors):
        sampler = EpisodeSampler(digits.labels, ways=5, shots=1, queries=15, unlabelled=5, distractors=distractors)
        episodes = sampler.sample(400)
        return {name: evaluate(learner, digits, episodes, base).per_episode for name, learner in learners.items()}

    return {distractors: score(distractors) for distractors in (0, 5)}


def surely_better(one, other, by):
    """Over the same tasks, the whole interval of the difference is above `by`."""
    interval = accuracy_interval(one - other)
    return interval.mean - interval.half_width > by


def test_unlabelled_items_help(accuracies):
    assert surely_better(accuracies[0]["soft"], accuracies[0]["labelled only"], by=0.02)


def test_distractors_hurt_and_their_cluster_takes_them(accuracies):
    clean, mixed = accuracies[0], accuracies[5]
    loss = {name: clean[name].mean() - mixed[name].mean() for name in clean}
    assert loss["soft"] > 0.02
    assert loss["cluster"] < loss["soft"] / 2
    assert surely_better(mixed["cluster"], mixed["soft"], by=0.005)
    assert surely_better(mixed["cluster"], mixed["labelled only"], by=0.02)


def test_evaluate_gives_it_the_unlabelled_items_of_each_task(digits):
    sampler = EpisodeSampler(digits.labels, ways=5, shots=1, queries=3, unlabelled=4, distractors=2)
    episodes, learner = sampler.sample(5), create_learner("soft-kmeans")
    assert (episodes.unlabelled_labels == -2).sum(1).tolist() == [8] * 5
    found = evaluate(learner, digits, episodes, chunk=2)
    for task in range(5):
        parts = (digits.features[x[task]][None] for x in (episodes.support, episodes.query, episodes.unlabelled))
        support, query, unlabelled = parts
        logits = learner.fit(support, episodes.support_labels[task][None], 5, unlabelled=unlabelled)(query)
        right = (logits.argmax(2)[0] == episodes.query_labels[task]).double().mean()
        assert found.per_episode[task] == pytest.approx(float(right))


def test_wrong_settings_are_told():
    with pytest.raises(InvalidInput, match="soft-kmeans: radius must be above zero, found 0"):
        create_learner("soft-kmeans", radius=0.0)
    with pytest.raises(InvalidInput, match="distractors must be 'none' or 'cluster', found 'masked'"):
        create_learner("soft-kmeans", distractors="masked")
