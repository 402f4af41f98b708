import numpy as np
import pytest

from fewshot.learners import BaseStatistics, SimpleShot


def reference(support, labels, query, mean, transform):
    """Section 3 of the paper, one vector at a time."""

    def transformed(x):
        x = x - mean if transform == "CL2N" else x
        return x if transform == "UN" else x / max(np.linalg.norm(x), 1e-12)

    logits = np.zeros((len(query), labels.max() + 1))
    for way in range(logits.shape[1]):
        centroid = np.mean([transformed(x) for x in support[labels == way]], axis=0)
        logits[:, way] = [-np.sum((transformed(x) - centroid) ** 2) for x in query]
    return logits


@pytest.mark.parametrize("transform", ["UN", "L2N", "CL2N"])
def test_it_follows_the_paper(grid_tasks, transform):
    tasks = grid_tasks
    found = SimpleShot(transform).fit(tasks.support, tasks.labels, tasks.ways, tasks.base)(tasks.query)
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        mean = tasks.base.mean.double().numpy()
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), mean, transform)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


def test_features_far_from_zero_and_near_each_other(make_tasks):
    """Centring leaves a thousandth of them, which is all that tells the classes apart."""
    tasks = make_tasks(dim=64)
    support, query, mean = (100 + 0.1 * x for x in (tasks.support, tasks.query, tasks.base.mean))
    found = SimpleShot().fit(support, tasks.labels, 5, BaseStatistics(mean))(query)
    for task in range(len(found)):
        given, asked, centre = (x.double().numpy() for x in (support[task], query[task], mean))
        expected = reference(given, tasks.labels[task].numpy(), asked, centre, "CL2N")
        np.testing.assert_allclose(found[task], expected, atol=1e-5)
