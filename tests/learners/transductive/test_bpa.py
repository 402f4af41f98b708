import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput, UnknownName
from fewshot.learners import BPA, create_learner
from fewshot.learners.transductive.affinities import balanced_affinities


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def affinities(items, entropy=0.1, steps=10):
    """Algorithm 1 of the paper, as the authors' code scales it, for one task."""
    distance = 1 - unit(items) @ unit(items).T
    np.fill_diagonal(distance, 1000)
    plan = np.exp(-distance / entropy)
    for _ in range(steps):
        plan = plan / plan.sum(1, keepdims=True)
        plan = plan / plan.sum(0)
    plan = plan / plan.max()
    np.fill_diagonal(plan, 1)
    return plan


@pytest.mark.parametrize(("entropy", "steps"), [(0.1, 10), (0.5, 5)])
def test_the_transform_is_the_papers(entropy, steps):
    features = torch.randn(3, 30, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).abs()
    found = balanced_affinities(features, torch.ones(3, 30, 1), entropy, steps)
    for task in range(3):
        np.testing.assert_allclose(found[task], affinities(features[task].numpy(), entropy, steps), atol=1e-6)


def test_the_transform_is_the_papers_on_real_features(real_tasks):
    found = balanced_affinities(real_tasks.query, torch.ones(2, 15, 1))
    for task in range(2):
        np.testing.assert_allclose(found[task], affinities(real_tasks.query[task].numpy(), 0.1, 10), atol=1e-6)


def test_the_transform_follows_the_order_of_the_items_and_leaves_padding_out():
    features = torch.rand(2, 9, 5, dtype=torch.float64)
    found, order = balanced_affinities(features, torch.ones(2, 9, 1)), torch.randperm(9)
    moved = balanced_affinities(features[:, order], torch.ones(2, 9, 1))
    torch.testing.assert_close(moved, found[:, order][..., order])
    padded = torch.nn.functional.pad(features, (0, 0, 0, 3))
    again = balanced_affinities(padded, (torch.arange(12) < 9).double()[None, :, None].expand(2, -1, -1))
    torch.testing.assert_close(again[:, :9, :9], found)
    assert again[:, 9:].abs().max() == 0
    assert again[..., 9:].abs().max() == 0


def test_a_nearest_mean_of_affinities(make_tasks):
    tasks = make_tasks(tasks=2)
    found = BPA(features="l2", learner="prototypical").fit(tasks.support.double(), tasks.labels, 5)
    logits = found(tasks.query.double())
    for task in range(2):
        support, labels, query = (x.numpy() for x in tasks.item(task))
        items = affinities(np.concatenate([support, query]).astype(np.float64))
        for way in range(5):
            mean = items[:15][labels == way].mean(0)
            expected = -((items[15:] - mean) ** 2).sum(1)
            np.testing.assert_allclose(logits[task, :, way], expected, atol=1e-5)


def test_pt_map_takes_the_transform_as_a_step(make_tasks):
    tasks = make_tasks()
    step = create_learner("pt-map", features="power+span+l2+centre-each+l2+bpa")
    expected = step.fit(tasks.support, tasks.labels, 5)(tasks.query)
    assert torch.equal(BPA().fit(tasks.support, tasks.labels, 5)(tasks.query), expected)
    plain = create_learner("pt-map").fit(tasks.support, tasks.labels, 5)(tasks.query)
    assert not torch.allclose(plain.softmax(-1), expected.softmax(-1), atol=0.05)


def test_softer_affinities_change_the_result(make_tasks):
    tasks = make_tasks()
    sharp, soft = (BPA(entropy=entropy).fit(tasks.support, tasks.labels, 5)(tasks.query) for entropy in (0.1, 0.5))
    assert not torch.allclose(sharp.softmax(-1), soft.softmax(-1), atol=0.01)


def test_facts_are_those_of_the_inner_learner():
    assert BPA().facts()["assumes_balanced_queries"]
    inductive = BPA(learner="ridge").facts()
    assert not inductive["assumes_balanced_queries"]
    assert inductive["transductive"]
    assert not inductive["needs_base_mean"]
    assert BPA(features="centre-base+l2").facts()["needs_base_mean"]


def test_learners_of_every_kind_work_behind_it(make_tasks):
    tasks = make_tasks(tasks=2, dim=64, spread=0.1)
    for name in ("pt-map", "bms", "protolp", "logistic", "nearest-neighbour"):
        predicted = BPA(learner=name).fit(tasks.support, tasks.labels, 5)(tasks.query).argmax(-1)
        assert (predicted == tasks.query_labels).float().mean() > 0.9


def test_wrong_settings_are_refused():
    with pytest.raises(InvalidInput, match="bpa: learner 'simpleshot' needs base classes.*such as 'pt-map'"):
        BPA(learner="simpleshot")
    with pytest.raises(UnknownName, match="pt-map"):
        BPA(learner="pt-mop")
    with pytest.raises(InvalidInput, match="bpa: entropy must be above zero"):
        BPA(entropy=0)
