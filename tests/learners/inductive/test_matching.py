import numpy as np

from fewshot.learners import Matching


def reference(support, labels, query):
    """Equation 1: the labels of the support weighted by the softmax over cosines, one query at a time."""
    probabilities = np.zeros((len(query), labels.max() + 1))
    for row, x in enumerate(query):
        cosines = [x @ s / max(np.linalg.norm(x) * np.linalg.norm(s), 1e-12) for s in support]
        attention = np.exp(cosines) / np.exp(cosines).sum()
        for weight, label in zip(attention, labels, strict=True):
            probabilities[row, label] += weight
    return probabilities


def test_it_follows_the_paper(grid_tasks):
    tasks = grid_tasks
    logits = Matching().fit(tasks.support, tasks.labels, tasks.ways)(tasks.query)
    for task in range(len(logits)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64))
        np.testing.assert_allclose(logits[task].exp(), expected, atol=1e-5)
        np.testing.assert_allclose(logits[task].softmax(-1), expected, atol=1e-5)
