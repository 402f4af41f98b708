import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner
from fewshot.learners.transductive.ilpc import mean_losses
from fewshot.learners.transductive.selection import least_doubtful, pseudo_labels


def normalised(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def prepared(x, features):
    if features == "l2":
        return normalised(x)
    x = normalised(np.where(x < 0, -1, 1) * np.sqrt(np.abs(x) + 1e-6))
    return normalised(x - x.mean(0))


def graph(x, neighbours, gamma):
    edges = np.zeros((len(x), len(x)))
    for i, a in enumerate(normalised(x)):
        others = sorted((-(a @ b), j) for j, b in enumerate(normalised(x)) if j != i)
        for similarity, j in others[:neighbours]:
            edges[i, j] = max(-similarity, 0) ** gamma
    edges = (edges + edges.T) / 2
    sums = np.maximum(edges.sum(1), 1e-30)
    return np.diag(sums**-0.5) @ edges @ np.diag(sums**-0.5)


def sinkhorn(p, mass):
    for _ in range(100_000):
        p = p / p.sum(1, keepdims=True)
        p = p * np.divide(mass, p.sum(0), where=mass > 0, out=np.zeros_like(mass))
        if np.abs(p.sum(1) - 1).max() < 1e-9:
            break
    return p


def classifier_losses(x, known, labels, ways, steps):
    """Gradient descent with momentum from the normalised means of the known items; the mean loss of each item."""
    weight = normalised(np.array([x[known][labels[known] == way].mean(0) for way in range(ways)])).T
    bias, targets, total = np.zeros(ways), np.eye(ways)[labels], np.zeros(len(x))
    weight_speed, bias_speed = 0, 0
    for _ in range(steps):
        logits = x @ weight + bias
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        p = exponents / exponents.sum(1, keepdims=True)
        total -= np.log(p[np.arange(len(x)), labels])
        gradient = (p - targets) / len(x)
        weight_speed = 0.9 * weight_speed + x.T @ gradient + 5e-4 * weight
        bias_speed = 0.9 * bias_speed + gradient.sum(0) + 5e-4 * bias
        weight, bias = weight - 0.1 * weight_speed, bias - 0.1 * bias_speed
    return total / steps


def reference(
    support, labels, query, features="power+l2+centre-all+l2", neighbours=20, gamma=3.0, alpha=0.8, tau=3.0, cleanest=3,
    steps=1000,
):  # fmt: skip
    """One task; the assignment of each query when it joins the support."""
    x = prepared(np.concatenate([support, query]), features)
    ways, samples = labels.max() + 1, len(support)
    spreading = np.linalg.inv(np.eye(len(x)) - alpha * graph(x, neighbours, gamma))
    labels, known = np.concatenate([labels, np.zeros(len(query), int)]), np.arange(len(x)) < samples
    answers, mass = np.zeros((len(query), ways)), np.full(ways, len(query) / ways)
    while not known.all():
        waiting = np.flatnonzero(~known)
        spread = (spreading[:, known] @ np.eye(ways)[labels[known]])[waiting].clip(1e-30)
        share = mass.clip(0) * len(waiting) / mass.clip(0).sum()
        assignment = sinkhorn((spread / spread.sum(1, keepdims=True)) ** tau, share)
        labels[waiting] = assignment.argmax(1)
        losses = classifier_losses(x, known, labels, ways, steps)
        for way in range(ways):
            members = waiting[labels[waiting] == way]
            for item in members[np.argsort(losses[members])][:cleanest]:
                known[item] = True
                mass[way] -= 1
                answers[item - samples] = assignment[waiting == item] / assignment[waiting == item].sum()
    return answers


def assert_follows(tasks, keep=slice(None), **settings):
    learner = create_learner("ilpc", **settings)
    query = tasks.query[:, keep].double()
    found = learner.fit(tasks.support.double(), tasks.labels, tasks.ways)(query).softmax(2)
    for task in range(len(found)):
        expected = reference(
            tasks.support[task].double().numpy(), tasks.labels[task].numpy(), query[task].numpy(), **settings
        )
        np.testing.assert_allclose(found[task], expected, atol=1e-5)


def test_it_follows_the_paper(grid_tasks):
    if grid_tasks.support.shape[2] == 1:  # vectors of one dimension and length 1 tie
        return
    assert_follows(grid_tasks, steps=200)


@pytest.mark.parametrize(
    "settings",
    [
        {"features": "l2"},
        {"neighbours": 4},
        {"gamma": 1.0},
        {"alpha": 0.4},
        {"tau": 1.0},
        {"cleanest": 1},
        {"steps": 20},
        {},
    ],
    ids=str,
)
def test_each_setting_is_the_papers(make_tasks, settings):
    assert_follows(make_tasks(tasks=2, shots=1, queries=6, dim=32, spread=0.8), **{"steps": 100, **settings})


def test_mean_losses_are_those_of_gradient_descent_on_weights(make_tasks):
    tasks = make_tasks(dim=32)
    x, labels = torch.cat([tasks.support, tasks.query], 1).double(), torch.cat([tasks.labels, tasks.query_labels], 1)
    targets, known = torch.eye(5, dtype=torch.float64)[labels], torch.arange(35) < 15
    members = targets * known[:, None]
    found = mean_losses(x @ x.mT, members, targets, torch.ones(4, 5, dtype=torch.bool), steps=300)
    for task in range(4):
        expected = classifier_losses(x[task].numpy(), known.numpy(), labels[task].numpy(), 5, steps=300)
        np.testing.assert_allclose(found[task], expected, atol=1e-9)


def test_it_follows_the_paper_on_unequal_classes(make_tasks):
    assert_follows(make_tasks(tasks=3, queries=12, dim=32), keep=slice(0, 23), steps=100)


def test_every_class_gets_its_share(make_tasks):
    """With all queries at once, the assignments of a task sum to equal classes."""
    tasks = make_tasks(queries=6)
    head = create_learner("ilpc", cleanest=30, steps=1).fit(tasks.support.double(), tasks.labels, 5)
    sums = head(tasks.query.double()).softmax(2).sum(1)
    torch.testing.assert_close(sums, torch.full_like(sums, 6.0), atol=1e-4, rtol=0)


def test_equal_queries_join_together(make_tasks):
    tasks = make_tasks()
    query = tasks.query[:, :5].repeat_interleave(4, 1)
    head = create_learner("ilpc", cleanest=2, steps=50).fit(tasks.support, tasks.labels, 5)
    found = head(query).softmax(2).view(4, 5, 4, 5)
    torch.testing.assert_close(found, found[:, :, :1].expand(-1, -1, 4, -1), atol=1e-5, rtol=0)


def test_pseudo_labels_are_shared_where_classes_tie():
    scores = torch.tensor([[[0.2, 0.8, 0.1], [0.5, 0.5, 0.0], [0.9, 0.1, 0.0]]])
    real = torch.tensor([[[1.0], [1.0], [0.0]]])
    expected = torch.tensor([[[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]])
    assert torch.equal(pseudo_labels(scores, real), expected)


def test_the_least_doubtful_of_each_class_are_chosen_and_ties_with_them():
    pseudo = torch.eye(2)[torch.tensor([0, 0, 0, 0, 1, 1])][None].clone()
    pseudo[0, 5] = 0
    doubt = torch.tensor([[3.0, 1.0, 2.0, 2.0, 9.0, 0.0]])
    assert least_doubtful(doubt, pseudo, 1)[0].tolist() == [False, True, False, False, True, False]
    assert least_doubtful(doubt, pseudo, 2)[0].tolist() == [False, True, True, True, True, False]
    assert least_doubtful(doubt, pseudo, 99)[0].tolist() == [True, True, True, True, True, False]


def test_wrong_settings_are_told():
    for setting in ("neighbours", "alpha", "tau", "cleanest", "steps"):
        with pytest.raises(InvalidInput, match=f"ilpc: {setting} must be above zero"):
            create_learner("ilpc", **{setting: 0})
    with pytest.raises(InvalidInput, match=r"ilpc: alpha must be below one, found 1\.0"):
        create_learner("ilpc", alpha=1.0)
