import numpy as np
import pytest
import torch
from scipy.special import digamma, gammaln

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner


def unit(items):
    return items / np.maximum(np.linalg.norm(items, axis=-1, keepdims=True), 1e-12)


def probabilities(items, means, temperature):
    scores = temperature * unit(items) @ unit(means).T
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def majorise(alpha, mean_logs, steps):
    """The paper's update of one class, each step the maximum of a lower bound of the likelihood."""
    for _ in range(steps):
        curvature = 2 * (alpha * digamma(alpha + 1) - gammaln(alpha + 1)) / alpha**2
        slope = digamma(alpha + 1) - digamma(alpha.sum()) - curvature * alpha - mean_logs
        following = (np.sqrt(slope**2 + 4 * curvature) - slope) / (2 * curvature)
        done, alpha = np.abs(following - alpha).max() < 1e-12 * alpha.max(), following
        if done:
            break
    return alpha


def reference(support, labels, query, temperature, lam=1.0, hard=False, steps=20, given=False, inner=20_000):
    """Martin et al. 2024, algorithm 1."""
    ways, known = labels.max() + 1, np.eye(labels.max() + 1)[labels]
    means = np.stack([support[labels == way].mean(0) for way in range(ways)])
    assignment = probabilities(query, means, temperature)
    if not given:
        support, query = probabilities(support, means, temperature), assignment
    support, query = np.log(support + 1e-15), np.log(query + 1e-15)
    alpha = np.ones((ways, support.shape[1]))
    for _ in range(steps):
        logits = np.zeros((len(query), ways))
        for way in range(ways):
            total = known[:, way].sum() + assignment[:, way].sum()
            mean_logs = (known[:, way] @ support + assignment[:, way] @ query) / total
            alpha[way] = majorise(alpha[way], mean_logs, inner)
            logits[:, way] = gammaln(alpha[way].sum()) - gammaln(alpha[way]).sum() + query @ (alpha[way] - 1)
        dual = np.log(assignment.mean(0) + 1e-15) + 1
        logits = logits + lam * len(query) * dual / len(query)
        soft = np.exp(logits - logits.max(1, keepdims=True))
        soft /= soft.sum(1, keepdims=True)
        assignment = np.eye(ways)[soft.argmax(1)] if hard else soft
    return soft


def assert_follows(support, labels, ways, query, tolerance=1e-5, **settings):
    learner = create_learner("em-dirichlet", **settings)
    found = learner.fit(support.double(), labels, ways)(query.double()).softmax(-1)
    settings["given"] = settings.pop("simplex", "") == "given"
    for task in range(len(found)):
        arrays = support[task].double().numpy(), labels[task].numpy(), query[task].double().numpy()
        np.testing.assert_allclose(found[task], reference(*arrays, **settings), atol=tolerance)


@pytest.mark.parametrize("shape", [{"ways": 2}, {"dim": 64}, {"shots": 1, "dim": 32}, {"ways": 8, "dim": 8}], ids=str)
def test_it_follows_the_paper(make_tasks, shape):
    tasks = make_tasks(**{"tasks": 2, "queries": 10, **shape})
    assert_follows(tasks.support, tasks.labels, tasks.ways, tasks.query, temperature=4.0, steps=3)


def test_it_follows_the_paper_on_real_features(real_tasks):
    assert_follows(real_tasks.support, real_tasks.labels, 5, real_tasks.query, temperature=30.0, steps=3)


@pytest.mark.parametrize("settings", [{"lam": 0.3}, {"steps": 1}, {"steps": 8}, {"hard": True}], ids=str)
def test_settings_do_as_the_paper_says(make_tasks, settings):
    tasks = make_tasks(tasks=2, queries=10, seed=1)
    settings = {"temperature": 4.0, "steps": 3, **settings}
    assert_follows(tasks.support, tasks.labels, tasks.ways, tasks.query, **settings)
    changed, default = (
        create_learner("em-dirichlet", **each).fit(tasks.support, tasks.labels, 5)(tasks.query).softmax(-1)
        for each in (settings, {"temperature": 4.0, "steps": 5})
    )
    assert not torch.allclose(changed, default, atol=1e-3)


def test_unequal_queries_follow_the_paper(make_tasks):
    tasks = make_tasks(tasks=2, queries=20, dim=32, seed=2)
    few = tasks.query[tasks.query_labels < 2].view(2, -1, 32)  # the queries of two classes of five
    assert_follows(tasks.support, tasks.labels, tasks.ways, few, temperature=4.0, steps=3)


@pytest.fixture
def on_the_simplex(make_tasks):
    """Probabilities of ten things, drawn from a Dirichlet density per class."""
    random = np.random.default_rng(0)
    alphas = random.gamma(1.0, 2.0, (5, 10)) + 0.1
    labels = np.arange(5).repeat(2)
    support = np.stack([random.dirichlet(alphas[way]) for way in labels])
    truth = np.arange(5).repeat(20)
    query = np.stack([random.dirichlet(alphas[way]) for way in truth])
    return torch.tensor(support)[None], torch.tensor(labels)[None], torch.tensor(query)[None], torch.tensor(truth)


def test_probabilities_are_taken_as_they_come(on_the_simplex):
    support, labels, query, truth = on_the_simplex
    assert_follows(support, labels, 5, query, simplex="given", temperature=10.0, steps=3)
    em, mean = (
        create_learner(name, **settings).fit(support, labels, 5)(query)[0].argmax(-1)
        for name, settings in (("em-dirichlet", {"simplex": "given"}), ("prototypical", {}))
    )
    assert (em == truth).double().mean() > (mean == truth).double().mean() + 0.05


@pytest.mark.parametrize(
    ("broken", "message"),
    [(lambda p: p * 2, "sum 2;"), (lambda p: p - 0.2 * (p == p.amax(-1, keepdim=True)), "sum 0.8")],
)
def test_what_is_no_probability_is_refused(on_the_simplex, broken, message):
    support, labels, query, _ = on_the_simplex
    learner = create_learner("em-dirichlet", simplex="given")
    with pytest.raises(InvalidInput, match=message):
        learner.fit(support, labels, 5)(broken(query))
    with pytest.raises(InvalidInput, match=message):
        learner.fit(broken(support), labels, 5)(query)
    negative = query.clone()
    negative[0, 0, :2] = torch.stack([query[0, 0, :2].sum() + 0.1, torch.tensor(-0.1)])
    with pytest.raises(InvalidInput, match="found one with minimum -0.1 and sum 1"):
        learner.fit(support, labels, 5)(negative)


def test_padding_needs_to_be_no_probability(on_the_simplex):
    support, labels, query, _ = on_the_simplex
    learner = create_learner("em-dirichlet", simplex="given")
    mask = torch.arange(query.shape[1])[None] < 60
    found = learner.fit(support, labels, 5)(query, mask)[:, :60]
    torch.testing.assert_close(found.softmax(-1), learner.fit(support, labels, 5)(query[:, :60]).softmax(-1))


@pytest.mark.parametrize("setting", [{"temperature": 0.0}, {"lam": -1.0}, {"steps": 0}])
def test_wrong_settings_are_told(setting):
    with pytest.raises(InvalidInput, match="em-dirichlet: .* must be above zero"):
        create_learner("em-dirichlet", **setting)
