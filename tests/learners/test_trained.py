import os

import pytest
import torch
from safetensors.torch import save_file

from fewshot.classify import FewShotClassifier
from fewshot.episodes import EpisodeSampler
from fewshot.errors import FingerprintMismatch, InvalidInput, MissingWeights, UnreadableFile
from fewshot.learners import BaseStatistics, create_learner, evaluate
from fewshot.learners.trained import save_network

NAMES = ["feat", "relation", "matching-fce"]


@pytest.fixture(params=NAMES)
def learner(request, random_weights):
    """With large random weights, so that nothing is hidden by a start near zero."""
    return random_weights(create_learner(request.param), 16)


def assert_same(found, expected):
    torch.testing.assert_close(found.softmax(-1), expected.softmax(-1), atol=1e-5, rtol=0)


def test_a_padded_task_is_the_task_alone(learner, make_tasks):
    big, small = make_tasks(tasks=1), make_tasks(tasks=1, ways=3, shots=2, queries=3, seed=1)
    support, query = torch.full((2, 15, 16), torch.nan), torch.full((2, 20, 16), torch.nan)
    labels, mask = torch.full((2, 15), -1), torch.zeros(2, 20, dtype=torch.bool)
    for row, (task, first) in enumerate(((big, 0), (small, 4))):  # padding before and after the items
        support[row, first : first + task.support.shape[1]] = task.support[0]
        labels[row, first : first + task.support.shape[1]] = task.labels[0]
        query[row, : task.query.shape[1]] = task.query[0]
        mask[row, : task.query.shape[1]] = True
    padded = learner.fit(support, labels, torch.tensor([5, 3]))(query, mask)
    assert_same(padded[0], learner.fit(big.support, big.labels, 5)(big.query)[0])
    assert_same(padded[1, :9, :3], learner.fit(small.support, small.labels, 3)(small.query)[0])


def test_order_of_support_and_classes_does_not_matter(learner, make_tasks):
    tasks, order, classes = make_tasks(), torch.randperm(15), torch.tensor([3, 0, 4, 1, 2])
    expected = learner.fit(tasks.support, tasks.labels, 5)(tasks.query)
    assert_same(learner.fit(tasks.support[:, order], tasks.labels[:, order], 5)(tasks.query), expected)
    assert_same(learner.fit(tasks.support, classes[tasks.labels], 5)(tasks.query)[..., classes], expected)


def test_equal_items_of_all_classes_tell_nothing(learner):
    logits = learner.fit(torch.full((1, 6, 16), 2.0), torch.tensor([[0, 1, 2, 0, 1, 2]]), 3)(torch.rand(1, 4, 16))
    assert_same(logits, torch.zeros_like(logits))


def test_without_weights_it_says_how_to_get_them(make_tasks):
    tasks = make_tasks()
    with pytest.raises(MissingWeights, match="feat has no weights: train it on a table of base classes, train"):
        create_learner("feat").fit(tasks.support, tasks.labels, 5)
    with pytest.raises(MissingWeights, match="there is no weights file nowhere.safetensors; train feat"):
        create_learner("feat", weights="nowhere.safetensors").fit(tasks.support, tasks.labels, 5)


def test_weights_of_something_else_are_refused(random_weights, make_tasks):
    feat, tasks = random_weights(create_learner("feat"), 16), make_tasks()
    with pytest.raises(InvalidInput, match="are for learner 'feat', and here relation has learner 'relation'"):
        create_learner("relation", weights=feat.weights).fit(tasks.support, tasks.labels, 5)
    with pytest.raises(InvalidInput, match="are for settings .*'hidden': 128.*and here feat has .*'hidden': 8"):
        create_learner("feat", weights=feat.weights, hidden=8).fit(tasks.support, tasks.labels, 5)
    with pytest.raises(InvalidInput, match="are for dim 16, and here feat has dim 15"):
        feat.fit(tasks.support[..., :15], tasks.labels, 5)


def test_features_of_another_backbone_are_refused(random_weights, base_table, make_tasks):
    from dataclasses import replace

    tasks, table = make_tasks(), replace(base_table(16), backbone="beef")
    learner = random_weights(create_learner("feat"), 16, backbone="f00d")
    assert learner.backbone == "f00d"
    message = "feat was trained on features of backbone f00d, and these are of beef"
    with pytest.raises(FingerprintMismatch, match=message):
        evaluate(learner, table, EpisodeSampler(table.labels, queries=4).sample(2))
    with pytest.raises(FingerprintMismatch, match=message):
        learner.fit(tasks.support, tasks.labels, 5, BaseStatistics(torch.zeros(16), "beef"))
    evaluate(learner, replace(table, backbone="f00d"), EpisodeSampler(table.labels, queries=4).sample(2))


def test_a_classifier_refuses_them_too(random_weights):
    class Backbone:
        fingerprint = "beef"

    learner = random_weights(create_learner("feat"), 16, backbone="f00d")
    with pytest.raises(FingerprintMismatch, match="backbone f00d, and these are of beef"):
        FewShotClassifier(Backbone(), learner).fit([None] * 2, ["a", "b"])


def test_other_files_are_refused(tmp_path, make_tasks):
    tasks, path = make_tasks(), tmp_path / "file.safetensors"
    learner = create_learner("feat", weights=str(path))
    path.write_bytes(b"no safetensors")
    with pytest.raises(UnreadableFile, match="is damaged or no file of weights"):
        learner.fit(tasks.support, tasks.labels, 5)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(UnreadableFile, match="holds no weights of a learner"):
        learner.fit(tasks.support, tasks.labels, 5)


def test_a_file_is_read_once_and_again_when_it_changed(random_weights):
    learner = random_weights(create_learner("feat"), 16)
    features = torch.zeros(1, 16)
    first = learner.loaded(features)
    assert learner.loaded(features) is first
    assert learner.loaded(features.double()).output.weight.dtype == torch.float64
    network = learner.network(16)
    save_network(learner._file(), network, learner, 16, "", {})
    os.utime(learner.weights, (1, 1))  # also where two writings fall into one tick of the clock
    torch.testing.assert_close(learner.loaded(features).state_dict(), network.state_dict())


def test_weights_first_used_in_inference_mode_serve_outside_as_well(random_weights, make_tasks):
    learner, tasks = random_weights(create_learner("relation"), 16), make_tasks()
    with torch.inference_mode():
        learner.fit(tasks.support, tasks.labels, 5)(tasks.query)
    query = tasks.query.clone().requires_grad_()
    learner.fit(tasks.support, tasks.labels, 5)(query).logsumexp(2).sum().backward()
    assert query.grad.isfinite().all()


def test_loading_leaves_the_random_state_alone(random_weights, make_tasks):
    learner, tasks, state = random_weights(create_learner("feat"), 16), make_tasks(), torch.get_rng_state()
    learner.fit(tasks.support, tasks.labels, 5)
    assert torch.equal(torch.get_rng_state(), state)


def test_facts_tell_the_training(with_weights):
    assert "training" not in create_learner("feat").facts()
    facts = with_weights(create_learner("feat"), 16).facts()
    assert facts["trained"]
    assert facts["training"]["seed"] == 0
    assert facts["training"]["steps"] == 60
