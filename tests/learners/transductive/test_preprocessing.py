import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import PTMAP, create_learner
from fewshot.learners.transductive.preprocessing import check_recipe, needs_base_mean, preprocess
from fewshot.learners.transductive.tasks import Tasks

BASE_MEAN = torch.linspace(0, 1, 12, dtype=torch.float64)


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def scaled(x, both):
    return (x - both.min(0)) / (both.max(0) - both.min(0))


def projected(x, both, rank):
    _, _, directions = np.linalg.svd(both, full_matrices=False)
    return x @ directions[:rank].T


STEPS = {
    "": lambda s, q, b: (s, q),
    "power": lambda s, q, b: tuple(np.sign(x) * (np.abs(x) + 1e-6) ** 0.5 for x in (s, q)),
    "l2": lambda s, q, b: (unit(s), unit(q)),
    "centre-base": lambda s, q, b: (s - b, q - b),
    "centre-support": lambda s, q, b: (s - s.mean(0), q - s.mean(0)),
    "centre-query": lambda s, q, b: (s - q.mean(0), q - q.mean(0)),
    "centre-all": lambda s, q, b: tuple(x - np.concatenate([s, q]).mean(0) for x in (s, q)),
    "centre-each": lambda s, q, b: (s - s.mean(0), q - q.mean(0)),
    "align": lambda s, q, b: (s, q - q.mean(0) + s.mean(0)),
    "min-max": lambda s, q, b: tuple(scaled(x, np.concatenate([s, q])) for x in (s, q)),
    "l2+centre-each+l2": lambda s, q, b: (unit(unit(s) - unit(s).mean(0)), unit(unit(q) - unit(q).mean(0))),
}
SAME_DISTANCES = {
    "span": lambda s, q, b: (s, q),
    "svd-3": lambda s, q, b: tuple(projected(x, np.concatenate([s, q]), 3) for x in (s, q)),
    "svd-50": lambda s, q, b: (s, q),
}


@pytest.fixture(params=[(2, 3), (6, 10)], ids=["few items", "many items"])
def tasks(request) -> Tasks:
    """Three tasks, the last with padding, of fewer and of more items than dimensions."""
    samples, queries = request.param
    draw = torch.Generator().manual_seed(0)
    support = torch.randn(3, samples, 12, generator=draw, dtype=torch.float64)
    query = torch.randn(3, queries, 12, generator=draw, dtype=torch.float64)
    members, mask = torch.ones(3, samples, 1, dtype=torch.float64), torch.ones(3, queries, dtype=torch.bool)
    support[2, -1], members[2, -1], query[2, -1], mask[2, -1] = 0, 0, 0, False
    return Tasks(support, members, query, mask, torch.ones(3, 1, dtype=torch.bool))


def each(tasks):
    """Support and queries of each task without padding."""
    for task in range(3):
        samples = tasks.members[task, :, 0] > 0
        yield tasks.support[task][samples].numpy(), tasks.query[task][tasks.mask[task]].numpy()


@pytest.mark.parametrize("recipe", STEPS)
def test_steps_do_what_they_say(tasks, recipe):
    found = preprocess(tasks, recipe, BASE_MEAN)
    for (support, query), (new_support, new_query) in zip(each(tasks), each(found), strict=True):
        expected = STEPS[recipe](support, query, BASE_MEAN.numpy())
        np.testing.assert_allclose(new_support, expected[0], atol=1e-12)
        np.testing.assert_allclose(new_query, expected[1], atol=1e-12)


@pytest.mark.parametrize("recipe", SAME_DISTANCES)
def test_reductions_keep_products(tasks, recipe):
    found = preprocess(tasks, recipe, BASE_MEAN)
    for (support, query), reduced in zip(each(tasks), each(found), strict=True):
        expected = np.concatenate(SAME_DISTANCES[recipe](support, query, None))
        together = np.concatenate(reduced)
        np.testing.assert_allclose(together @ together.T, expected @ expected.T, atol=1e-8)


@pytest.mark.parametrize("recipe", [*STEPS, *SAME_DISTANCES, "bpa"])
def test_padding_stays_zero(tasks, recipe):
    found = preprocess(tasks, recipe, BASE_MEAN)
    assert found.support[2, -1].abs().max() == 0
    assert found.query[2, -1].abs().max() == 0


def test_recipes_are_checked_where_a_learner_is_made():
    check_recipe("pt-map", "power+l2+centre-base+svd-12+bpa+span")
    for wrong in ("l3", "l2+", "+l2", "svd-0", "svd-", "svd-2x"):
        with pytest.raises(InvalidInput, match="pt-map: features has no step .*join steps by '\\+', from power, l2"):
            PTMAP(features=wrong)


def test_centring_by_the_base_classes_needs_their_mean(make_tasks):
    assert needs_base_mean("l2+centre-base")
    assert not needs_base_mean("l2+centre-all")
    tasks, learner = make_tasks(), create_learner("pt-map", features="centre-base+l2")
    with pytest.raises(InvalidInput, match="pt-map needs the mean"):
        learner.fit(tasks.support, tasks.labels, 5)
    assert learner.fit(tasks.support, tasks.labels, 5, tasks.base)(tasks.query).isfinite().all()


def test_nan_in_queries_is_told_before_a_decomposition_fails(make_tasks):
    tasks = make_tasks(dim=100)
    query = tasks.query.clone()
    query[1, 2, 3] = torch.nan
    for features in ("span", "svd-4", "l2"):
        head = PTMAP(features=features).fit(tasks.support, tasks.labels, 5)
        with pytest.raises(InvalidInput, match="queries of task 1 hold NaN"):
            head(query)
