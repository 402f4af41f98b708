from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.special import digamma, gammaln

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner
from fewshot.learners.transductive.tasks import Tasks
from fewshot.learners.vision_language.em_dirichlet import matched


def unit(items):
    return items / np.maximum(np.linalg.norm(items, axis=-1, keepdims=True), 1e-12)


def softmax(logits):
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def majorise(alpha, mean_logs, steps=20_000):
    """The paper's update of one class, each step the maximum of a lower bound of the likelihood."""
    for _ in range(steps):
        curvature = 2 * (alpha * digamma(alpha + 1) - gammaln(alpha + 1)) / alpha**2
        slope = digamma(alpha + 1) - digamma(alpha.sum()) - curvature * alpha - mean_logs
        following = (np.sqrt(slope**2 + 4 * curvature) - slope) / (2 * curvature)
        done, alpha = np.abs(following - alpha).max() < 1e-10 * alpha.max(), following
        if done:
            break
    return alpha


def reference(support, labels, query, text, temperature, effective=None, hard=False, match=True, steps=3):
    """Martin et al. 2024, algorithm 1; without a support, clusters are matched to classes by trying every order."""
    ways = len(text)
    support, images = (
        softmax(temperature * unit(items) @ text.T) if len(items) else items for items in (support, query)
    )
    known, u = np.eye(ways)[labels], images
    logs = np.log(images + 1e-15)
    support = np.log(support + 1e-15) if len(support) else np.zeros((0, ways))
    alpha, lam = np.ones((ways, ways)), ways / (effective or ways)
    for _ in range(steps):
        logits = np.zeros(u.shape)
        for way in range(ways):
            mass = known[:, way].sum() + u[:, way].sum()
            if mass > 1e-12:
                alpha[way] = majorise(alpha[way], (known[:, way] @ support + u[:, way] @ logs) / mass)
            logits[:, way] = gammaln(alpha[way].sum()) - gammaln(alpha[way]).sum() + logs @ (alpha[way] - 1)
        soft = softmax(logits + lam * np.log(u.mean(0) + 1e-15))
        u = np.eye(ways)[soft.argmax(1)] if hard else soft
    if len(support) or not match:
        return soft
    cluster = soft.argmax(1)
    means = [images[cluster == way].mean(0) if (cluster == way).any() else np.zeros(ways) for way in range(ways)]
    best = max(permutations(range(ways)), key=lambda order: sum(means[order[way]][way] for way in range(ways)))
    return soft[:, list(best)]


def assert_follows(tasks, shots=None, query=None, **settings):
    settings = {"temperature": 6.0, "steps": 3, **settings}
    learner, kept = create_learner("em-dirichlet-clip", **settings), slice(shots)
    query = tasks.query if query is None else query
    head = learner.fit(tasks.support[:, kept].double(), tasks.labels[:, kept], tasks.ways, words=tasks.words)
    found = head(query.double()).softmax(-1)
    settings["effective"] = settings.pop("effective_classes", None)
    text = tasks.words.vectors.double().numpy()
    for task in range(len(found)):
        arrays = tasks.support[task, kept].double().numpy(), tasks.labels[task, kept].numpy()
        expected = reference(*arrays, query[task].double().numpy(), text[task], **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-5)
    return found


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
@pytest.mark.parametrize("shape", [{"ways": 2}, {"dim": 64}, {"shots": 1}, {"ways": 6, "dim": 8}], ids=str)
def test_it_follows_the_paper(make_tasks, shape, shots):
    assert_follows(make_tasks(**{"tasks": 2, "queries": 10, **shape}), shots)


def test_it_follows_the_paper_on_real_features(real_tasks):
    assert_follows(real_tasks)


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
@pytest.mark.parametrize(
    "settings", [{"effective_classes": 2}, {"temperature": 3.0}, {"steps": 1}, {"hard": True}], ids=str
)
def test_settings_do_as_the_paper_says(make_tasks, settings, shots):
    tasks = make_tasks(tasks=2, queries=10, seed=1)
    assert not np.allclose(assert_follows(tasks, shots, **settings), assert_follows(tasks, shots), atol=1e-3)


def test_unequal_queries_follow_the_paper(make_tasks):
    tasks = make_tasks(tasks=2, queries=20, dim=32, seed=2)
    few = tasks.query[tasks.query_labels < 2].view(2, -1, 32)  # the queries of two classes of five
    assert_follows(tasks, 0, few)
    assert_follows(tasks, 0, few, effective_classes=2)


def test_clusters_get_the_classes_that_their_queries_are_likeliest_of():
    probabilities = torch.rand(3, 12, 4).softmax(2).double()
    shifted = probabilities.log().roll(1, dims=2)  # cluster 1 is class 0, and so on
    nobody = torch.zeros(3, 0, 4).double()
    tasks = Tasks(nobody, nobody, probabilities, torch.ones(3, 12).bool(), torch.ones(3, 4).bool())
    torch.testing.assert_close(matched(shifted, tasks), probabilities.log())
    labelled = replace(tasks, support=probabilities[:, :1], members=torch.eye(4).double()[:1].expand(3, 1, 4))
    torch.testing.assert_close(matched(shifted, labelled), shifted)


def test_clusters_of_a_padded_task_get_no_class_that_it_lacks():
    probabilities = torch.tensor([[0.6, 0.4, 0], [0.3, 0.7, 0], [0.2, 0.8, 0]]).double()[None]
    nobody = torch.zeros(1, 0, 3).double()
    tasks = Tasks(nobody, nobody, probabilities, torch.ones(1, 3).bool(), torch.tensor([[True, True, False]]))
    swapped = probabilities.log()[:, :, [1, 0, 2]]
    torch.testing.assert_close(matched(swapped, tasks), probabilities.log())


def test_a_class_that_no_query_has_gives_no_nan(make_tasks):
    tasks = make_tasks(ways=40, shots=1, queries=1, dim=64)
    sharp = create_learner("em-dirichlet-clip", temperature=500.0, effective_classes=2)
    head = sharp.fit(tasks.support[:, :0], tasks.labels[:, :0], 40, words=tasks.words)
    assert head(tasks.query).isfinite().all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above zero"),
        ({"steps": 0}, "steps must be above zero"),
        ({"effective_classes": 0}, "effective_classes must be above zero or none, found 0"),
    ],
)
def test_wrong_settings_are_told(setting, message):
    with pytest.raises(InvalidInput, match=f"em-dirichlet-clip: {message}"):
        create_learner("em-dirichlet-clip", **setting)
