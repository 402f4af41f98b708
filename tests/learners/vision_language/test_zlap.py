from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import create_learner
from fewshot.learners.vision_language import zlap


def unit(items):
    return items / np.maximum(np.linalg.norm(items, axis=-1, keepdims=True), 1e-12)


def reference(support, labels, query, text, neighbours=5, gamma=5.0, alpha=0.3):
    """Stojnić et al. 2024, solved directly; labelled images are labelled as class names are."""
    ways, images = len(text), unit(np.concatenate([support, query]))
    nodes = ways + len(images)
    graph = np.zeros((nodes, nodes))
    for row, image in enumerate(images):
        cosines = images @ image
        cosines[row] = np.inf  # a search finds the image itself first
        for column in np.argsort(-cosines)[:neighbours]:
            if column != row:
                graph[ways + row, ways + column] = max(cosines[column], 0)
        cosines = text @ image
        for column in np.argsort(-cosines)[:neighbours]:
            graph[ways + row, column] = max(cosines[column], 0) ** gamma
    graph = graph + graph.T
    sums = graph.sum(1)
    roots = np.where(sums > 0, 1 / np.sqrt(np.where(sums > 0, sums, 1)), 0)
    system = np.eye(nodes) - alpha * roots[:, None] * graph * roots
    target = np.concatenate([np.eye(ways), np.eye(ways)[labels], np.zeros((len(query), ways))])
    scores = np.linalg.solve(system, target)[ways + len(support) :]
    return scores / scores.sum(1, keepdims=True)


def assert_follows(tasks, shots=None, query=None, **settings):
    learner, kept = create_learner("zlap", **settings), slice(shots)
    query = tasks.query if query is None else query
    head = learner.fit(tasks.support[:, kept].double(), tasks.labels[:, kept], tasks.ways, words=tasks.words)
    found = head(query.double()).softmax(-1)
    text = tasks.words.vectors.double().numpy()
    for task in range(len(found)):
        arrays = tasks.support[task, kept].double().numpy(), tasks.labels[task, kept].numpy()
        expected = reference(*arrays, query[task].double().numpy(), text[task], **settings)
        np.testing.assert_allclose(found[task], expected, atol=1e-6)
    return found


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
def test_it_follows_the_paper(grid_tasks, shots):
    if grid_tasks.query.shape[2] == 1:
        pytest.skip("in one dimension all neighbours are equally near")
    assert_follows(grid_tasks, shots)


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
@pytest.mark.parametrize("settings", [{"neighbours": 1}, {"neighbours": 3}, {"gamma": 1.0}, {"alpha": 0.95}], ids=str)
def test_settings_do_as_the_paper_says(make_tasks, settings, shots):
    tasks = make_tasks(queries=8, spread=0.8)
    assert not np.allclose(assert_follows(tasks, shots, **settings), assert_follows(tasks, shots), atol=1e-3)


def test_unequal_queries_follow_the_paper(make_tasks):
    tasks = make_tasks(queries=20, dim=32, seed=2)
    few = tasks.query[tasks.query_labels < 2].view(4, -1, 32)  # the queries of two classes of five
    assert_follows(tasks, 0, few)


@pytest.mark.parametrize("shots", [0, None], ids=["zero-shot", "few-shot"])
def test_a_sparse_graph_gives_the_same(make_tasks, monkeypatch, shots):
    tasks = make_tasks(queries=9)
    dense = assert_follows(tasks, shots)
    monkeypatch.setattr(zlap, "DENSE", 10)
    torch.testing.assert_close(assert_follows(tasks, shots), dense)


def test_columns_are_solved_a_few_at_a_time(make_tasks, monkeypatch):
    tasks = make_tasks()
    monkeypatch.setattr(zlap, "BLOCK_BYTES", 2 * 8 * 4 * 40)  # two columns of four tasks of forty nodes
    assert_follows(tasks)


def test_an_image_far_from_everything_could_be_anything(make_tasks):
    tasks = make_tasks(tasks=1)
    query = tasks.query.clone()
    query[0, 3] = -1  # no cosine above zero
    head = create_learner("zlap").fit(tasks.support, tasks.labels, 5, words=tasks.words)
    torch.testing.assert_close(head(query).softmax(-1)[0, 3], torch.full((5,), 0.2))


def test_equally_near_images_share_a_place(make_tasks):
    tasks = make_tasks(tasks=1)
    twice = replace(tasks, query=torch.cat([tasks.query, tasks.query], 1))
    head = create_learner("zlap", neighbours=2).fit(tasks.support, tasks.labels, 5, words=tasks.words)
    logits = head(twice.query)
    torch.testing.assert_close(logits[:, :20].softmax(-1), logits[:, 20:].softmax(-1))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"neighbours": 0}, "neighbours must be above zero"),
        ({"gamma": 0.0}, "gamma must be above zero"),
        ({"alpha": 1.0}, "alpha must be below one, found 1.0"),
    ],
)
def test_wrong_settings_are_told(setting, message):
    with pytest.raises(InvalidInput, match=f"zlap: {message}"):
        create_learner("zlap", **setting)
