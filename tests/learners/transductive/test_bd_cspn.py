import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner


def normalised(x, mean):
    return [(row - mean) / max(np.linalg.norm(row - mean), 1e-12) for row in x]


def cosine(a, b):
    return a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)


def rectified(support, labels, query, scale):
    """The class means of one task, item by item; queries are moved already."""
    ways = labels.max() + 1
    means = [np.mean([x for x, y in zip(support, labels, strict=True) if y == way], axis=0) for way in range(ways)]
    members = [[] for _ in range(ways)]
    for x in [*support, *query]:
        exponents = np.exp([scale * cosine(x, mean) for mean in means])
        for way in np.flatnonzero(exponents >= exponents.max() * (1 - 1e-9)):
            members[way].append(exponents[way] / exponents.sum() * x)
    return [np.mean(found, axis=0) if found else mean for found, mean in zip(members, means, strict=True)]


def reference(support, labels, query, mean, scale=10.0, classify="shifted"):
    support, query = normalised(support, mean), normalised(query, mean)
    shifted = [x + np.mean(support, axis=0) - np.mean(query, axis=0) for x in query]
    means = rectified(support, labels, shifted, scale)
    return np.array([[scale * cosine(x, m) for m in means] for x in (shifted if classify == "shifted" else query)])


def assert_follows(tasks, **settings):
    learner = create_learner("bd-cspn", **settings)
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways, tasks.base)(tasks.query.double())
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        mean = tasks.base.mean.double().numpy()
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), mean, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-6)


@pytest.mark.parametrize("classify", ["shifted", "unshifted"])
def test_it_follows_the_paper(grid_tasks, classify):
    assert_follows(grid_tasks, classify=classify)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_scale_is_in_weights_and_logits(make_tasks, scale):
    assert_follows(make_tasks(shots=2), scale=scale)


def test_a_class_to_which_nothing_is_nearest_keeps_its_mean():
    """Class 2 has one item on either side of the other classes, and its mean near class 0 but not nearest to it."""
    support = torch.tensor([[1.0, 0.0], [0.0, 1.0], [4.0, 0.1], [-0.5, 3.0]], dtype=torch.float64)
    labels, query = torch.tensor([0, 1, 2, 2]), torch.tensor([[1.0, 0.05], [0.05, 1.0]], dtype=torch.float64)
    found = create_learner("bd-cspn", features="l2").fit(support[None], labels[None], 3)(query[None])[0]
    expected = reference(support.numpy(), labels.numpy(), query.numpy(), np.zeros(2))
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found.argmax(1).tolist() == [0, 1]


def test_moving_all_queries_changes_nothing_when_they_are_moved_back(make_tasks):
    tasks = make_tasks()
    learner = create_learner("bd-cspn", features="")
    head = learner.fit(tasks.support.double(), tasks.labels, 5)
    torch.testing.assert_close(head(tasks.query.double() + 1), head(tasks.query.double()))
    head = create_learner("bd-cspn", features="", classify="unshifted").fit(tasks.support.double(), tasks.labels, 5)
    assert not torch.allclose(head(tasks.query.double() + 1), head(tasks.query.double()), atol=0.1)


def test_wrong_settings_are_told():
    with pytest.raises(InvalidInput, match="bd-cspn: scale must be above zero"):
        create_learner("bd-cspn", scale=0.0)
    with pytest.raises(InvalidInput, match="classify must be 'shifted' or 'unshifted'"):
        create_learner("bd-cspn", classify="both")
