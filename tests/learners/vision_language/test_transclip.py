import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner
from fewshot.learners.vision_language import transclip


def unit(items):
    return items / np.maximum(np.linalg.norm(items, axis=-1, keepdims=True), 1e-12)


def softmax(logits):
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def nearest(items, others, k, itself):
    """The weights of the k nearest of others, zeros elsewhere; without itself where items and others are the same."""
    edges = np.zeros((len(items), len(others)))
    for row, item in enumerate(items):
        cosines = others @ item
        if not itself:
            cosines[row] = -np.inf
        for column in np.argsort(-cosines)[:k]:
            edges[row, column] = max(cosines[column], 0) if np.isfinite(cosines[column]) else 0
    return edges


def reference(support, labels, query, text, scale, lam=1.0, lam_few_shot=0.5, gamma=0.02, k=3, steps=10, inner=5):
    """Zanella et al. 2024, with the constants of the authors' code."""
    support, query, ways = unit(support), unit(query), len(text)
    known = np.eye(ways)[labels]
    prior = softmax(scale * query @ text.T)
    z = prior.copy()
    mu = np.zeros_like(text)
    for way in range(ways):
        sure = np.argsort(-z[:, way])[:8]
        mean = (z[sure, way, None] * query[sure]).sum(0) if not known[:, way].sum() else support[labels == way].mean(0)
        mu[way] = unit(mean)
    variance = np.full(text.shape[1], 1 / text.shape[1])
    edges, votes = nearest(query, query, k, itself=False), nearest(support, query, k, itself=True)
    for step in range(steps + 1):
        if step:
            weight = z / len(query)
            of_support = 50 * gamma * known / max(len(support), 1)
            mass = weight.sum(0) + of_support.sum(0)
            mu = unit((weight.T @ query + of_support.T @ support) / mass[:, None])
            variance = np.zeros(text.shape[1])
            for way in range(ways):
                variance += weight[:, way] @ (query - mu[way]) ** 2 + of_support[:, way] @ (support - mu[way]) ** 2
            variance = np.maximum(variance / mass.sum(), 1e-10)
        likelihood = np.stack([-0.5 * ((query - mu[way]) ** 2 / variance).sum(1) for way in range(ways)], 1)
        for _ in range(inner):
            drawn = edges @ z + edges.T @ z + votes.T @ known
            logits = (likelihood + 50 / (2 * k) * drawn) / 50
            z = softmax((lam_few_shot if len(support) else lam) * np.log(prior) + logits)
    return z


def assert_follows(tasks, shots=None, query=None, **settings):
    learner, kept = create_learner("transclip", **settings), slice(shots)
    query = tasks.query if query is None else query
    head = learner.fit(tasks.support[:, kept].double(), tasks.labels[:, kept], tasks.ways, words=tasks.words)
    found = head(query.double()).softmax(-1)
    names = {"neighbours": "k", "inner_steps": "inner"}
    settings = {names.get(name, name): value for name, value in settings.items()}
    text = tasks.words.vectors.double().numpy()
    for task in range(len(found)):
        arrays = tasks.support[task, kept].double().numpy(), tasks.labels[task, kept].numpy()
        expected = reference(*arrays, query[task].double().numpy(), text[task], tasks.words.scale, **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-5)
    return found


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
def test_it_follows_the_paper(grid_tasks, shots):
    if grid_tasks.query.shape[2] == 1:
        pytest.skip("in one dimension all neighbours are equally near")
    assert_follows(grid_tasks, shots)


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
@pytest.mark.parametrize(
    "settings",
    [{"lam": 0.3, "lam_few_shot": 2.0}, {"neighbours": 6}, {"steps": 2, "inner_steps": 1}],
    ids=str,
)
def test_settings_do_as_the_paper_says(make_tasks, settings, shots):
    tasks = make_tasks(queries=8, spread=0.8)
    assert not np.allclose(assert_follows(tasks, shots, **settings), assert_follows(tasks, shots), atol=1e-3)


@pytest.mark.parametrize("gamma", [0.0, 0.002, 0.2])
def test_gamma_weighs_the_support(make_tasks, gamma):
    tasks = make_tasks(queries=8, spread=0.8)
    assert not np.allclose(assert_follows(tasks, gamma=gamma), assert_follows(tasks), atol=1e-4)


def test_unequal_queries_follow_the_paper(make_tasks):
    tasks = make_tasks(queries=20, dim=32, seed=2)
    few = tasks.query[tasks.query_labels < 2].view(4, -1, 32)  # the queries of two classes of five
    assert_follows(tasks, 0, few)


def test_a_class_without_support_starts_from_sure_queries(make_tasks):
    tasks = make_tasks(tasks=1, queries=10)
    some = (tasks.labels[0] != 2).nonzero()[:, 0]
    learner = create_learner("transclip")
    head = learner.fit(tasks.support[:, some].double(), tasks.labels[:, some], 5, words=tasks.words)
    arrays = tasks.support[0, some].double().numpy(), tasks.labels[0, some].numpy(), tasks.query[0].double().numpy()
    expected = reference(*arrays, tasks.words.vectors[0].double().numpy(), tasks.words.scale)
    np.testing.assert_allclose(head(tasks.query.double())[0].softmax(-1), expected, atol=1e-5)


def test_a_sparse_graph_gives_the_same(make_tasks, monkeypatch):
    tasks = make_tasks(queries=9)
    dense = create_learner("transclip").fit(tasks.support, tasks.labels, 5, words=tasks.words)(tasks.query)
    monkeypatch.setattr(transclip, "DENSE", 10)
    sparse = create_learner("transclip").fit(tasks.support, tasks.labels, 5, words=tasks.words)(tasks.query)
    torch.testing.assert_close(sparse, dense)


def test_it_beats_the_words_where_queries_cluster(make_tasks):
    tasks = make_tasks(tasks=20, queries=15, dim=64, spread=0.4)
    noise = torch.randn(tasks.words.vectors.shape) * 0.06
    vectors = torch.nn.functional.normalize(tasks.words.vectors + noise, dim=-1)
    words = type(tasks.words)(vectors, scale=20.0)
    accuracy = {}
    for name in ("transclip", "zero-shot"):
        head = create_learner(name).fit(tasks.support[:, :0], tasks.labels[:, :0], 5, words=words)
        accuracy[name] = (head(tasks.query).argmax(-1) == tasks.query_labels).float().mean()
    assert accuracy["transclip"] > accuracy["zero-shot"] + 0.05


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"neighbours": 0}, "neighbours must be above zero"),
        ({"steps": 0}, "steps must be above zero"),
        ({"inner_steps": 0}, "inner_steps must be above zero"),
        ({"lam": -1.0}, "lam must be zero or more"),
        ({"gamma": -0.1}, "gamma must be zero or more"),
    ],
)
def test_wrong_settings_are_told(setting, message):
    with pytest.raises(InvalidInput, match=f"transclip: {message}"):
        create_learner("transclip", **setting)
