import numpy as np
import pytest
import torch
from sklearn.covariance import OAS, LedoitWolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from fewshot.errors import InvalidInput
from fewshot.learners import LDA


def reference(support, labels, query, shrinkage):
    """Log densities of Gaussians, the covariance built whole; one task at a time."""
    ways = labels.max() + 1
    means = np.stack([support[labels == way].mean(0) for way in range(ways)])
    deviations = support - means[labels]
    dim = support.shape[1]
    if shrinkage == "oas":
        covariance = OAS(assume_centered=True).fit(deviations).covariance_
    elif shrinkage == "ledoit-wolf":
        covariance = LedoitWolf(assume_centered=True).fit(deviations).covariance_
    else:
        sample = deviations.T @ deviations / len(support)
        covariance = (1 - shrinkage) * sample + shrinkage * np.trace(sample) / dim * np.eye(dim)
    if np.abs(deviations).max() < 1e-12:
        covariance = np.eye(dim)
    precision = np.linalg.inv(covariance)
    logits = np.stack([[-(x - mean) @ precision @ (x - mean) / 2 for mean in means] for x in query])
    return np.exp(logits - logits.max(1, keepdims=True)) / np.exp(logits - logits.max(1, keepdims=True)).sum(1)[:, None]


@pytest.mark.parametrize("shrinkage", [0.05, 0.5, 1.0, "oas", "ledoit-wolf"])
def test_probabilities_are_those_of_the_gaussians(grid_tasks, shrinkage):
    tasks = grid_tasks
    found = LDA(shrinkage).fit(tasks.support, tasks.labels, tasks.ways)(tasks.query).softmax(-1)
    for task in range(len(found)):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        expected = reference(support.astype(np.float64), labels, query.astype(np.float64), shrinkage)
        np.testing.assert_allclose(found[task], expected, atol=1e-4)


@pytest.mark.parametrize("dim", [3, 40])
@pytest.mark.parametrize("shrinkage", [0.1, 0.7])
def test_probabilities_are_those_of_scikit_learn(make_tasks, dim, shrinkage):
    tasks = make_tasks(dim=dim, shots=4)
    found = LDA(shrinkage).fit(tasks.support, tasks.labels, 5)(tasks.query).softmax(-1)
    for task in range(len(found)):
        support, labels, query = (x.double().numpy() for x in tasks.item(task))
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=np.full(5, 0.2))
        np.testing.assert_allclose(found[task], model.fit(support, labels).predict_proba(query), atol=1e-4)


def test_unequal_classes_weigh_by_their_items(make_tasks):
    tasks = make_tasks(tasks=1, ways=3, shots=4, dim=20)
    labels = torch.tensor([[0, 1, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2]])
    found = LDA().fit(tasks.support, labels, 3)(tasks.query).softmax(-1)[0]
    support, query = tasks.support[0].double().numpy(), tasks.query[0].double().numpy()
    np.testing.assert_allclose(found, reference(support, labels[0].numpy(), query, "oas"), atol=1e-4)


def test_one_shot_is_the_nearest_mean_beside_tasks_with_more(make_tasks):
    one, three = make_tasks(tasks=1, shots=1), make_tasks(tasks=1, shots=3, seed=1)
    support = torch.cat([torch.nn.functional.pad(one.support, (0, 0, 0, 10)), three.support])
    labels = torch.cat([torch.nn.functional.pad(one.labels, (0, 10), value=-1), three.labels])
    found = LDA().fit(support, labels, 5)(torch.cat([one.query, one.query])).softmax(-1)
    expected = (-torch.cdist(one.query, one.support).square() / 2).softmax(-1)
    ordered = expected.gather(2, one.labels.argsort(1)[:, None].expand(-1, 20, -1))
    torch.testing.assert_close(found[:1], ordered, atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [0, 1.5, -0.1])
def test_shrinkage_is_a_share(value):
    with pytest.raises(InvalidInput, match=f"lda: shrinkage must be above 0 and at most 1, found {value}"):
        LDA(value)


def test_shrinkage_is_a_number_or_a_name():
    with pytest.raises(InvalidInput, match="shrinkage must be a finite number or 'oas' or 'ledoit-wolf', found 'auto'"):
        LDA("auto")
