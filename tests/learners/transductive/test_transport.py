import numpy as np
import pytest
import torch

from fewshot.learners.transductive.transport import balanced_assignment


def reference(scores, mass):
    """Rows and columns scaled in turn until nothing moves, in float64, for one task."""
    plan = np.exp(scores - scores.max(1, keepdims=True))
    for _ in range(100_000):
        plan = plan / plan.sum(1, keepdims=True)
        plan = plan * (mass / plan.sum(0))
        if np.abs(plan.sum(1) - 1).max() < 1e-12:
            break
    return plan / plan.sum(1, keepdims=True)


def scores_of(*shape, scale=1.0, seed=0):
    return -scale * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.0, 1.0, 10.0, 40.0])
@pytest.mark.parametrize("sizes", [(15, 15, 15), (40, 4, 1), (7.5, 0.5, 12)])
def test_it_is_where_sinkhorns_algorithm_ends(scale, sizes):
    mass = torch.tensor(sizes, dtype=torch.float64).expand(4, -1)
    scores = scores_of(4, int(sum(sizes)), 3, scale=scale)
    found = balanced_assignment(scores, mass, torch.ones(*scores.shape[:2], 1), tolerance=1e-10)
    for task in range(4):
        np.testing.assert_allclose(found[task], reference(scores[task].numpy(), mass[task].numpy()), atol=1e-8)


@pytest.mark.parametrize("scale", [1000.0, 1e5])
def test_rows_and_columns_hold_where_sinkhorns_algorithm_creeps(scale):
    scores = scores_of(8, 60, 5, scale=scale, seed=1)
    scores[..., 0] += scale  # everything is nearest to one class
    found = balanced_assignment(scores, torch.full((8, 5), 12.0), torch.ones(8, 60, 1))
    torch.testing.assert_close(found.sum(2), torch.ones(8, 60, dtype=torch.float64))
    assert (found.sum(1) - 12).abs().max() < 1e-6


def test_equal_scores_are_shared_by_mass():
    found = balanced_assignment(torch.zeros(1, 10, 3), torch.tensor([[5.0, 3.0, 2.0]]), torch.ones(1, 10, 1))
    torch.testing.assert_close(found, torch.tensor([0.5, 0.3, 0.2]).expand(1, 10, -1))


def test_a_task_alone_is_the_task_among_others_and_padded():
    scores, mass = scores_of(3, 20, 4, scale=30.0), torch.full((3, 4), 5.0)
    together = balanced_assignment(scores, mass, torch.ones(3, 20, 1))
    for task in range(3):
        part = slice(task, task + 1)
        alone = balanced_assignment(scores[part], mass[part], torch.ones(1, 20, 1))
        assert torch.equal(alone, together[part])
    wide = torch.nn.functional.pad(scores, (0, 2, 0, 3), value=7.0)
    padded = balanced_assignment(
        wide, torch.nn.functional.pad(mass, (0, 2)), (torch.arange(23) < 20).float()[None, :, None].expand(3, -1, -1)
    )
    torch.testing.assert_close(padded[:, :20, :4], together)
    assert padded[:, 20:].abs().max() == 0
    assert padded[..., 4:].abs().max() == 0


def test_a_task_without_queries_holds_nothing_up():
    scores, real = scores_of(2, 6, 3), torch.ones(2, 6, 1)
    real[1] = 0
    found = balanced_assignment(scores, torch.tensor([[2.0, 2.0, 2.0], [0.0, 0.0, 0.0]]), real)
    assert found.isfinite().all()
    assert found[1].abs().max() == 0
    torch.testing.assert_close(found[0].sum(0), torch.full((3,), 2.0, dtype=torch.float64), atol=1e-6, rtol=0)


def test_half_of_a_query_for_each_of_many_classes():
    found = balanced_assignment(scores_of(1, 1, 100).float(), torch.full((1, 100), 0.01), torch.ones(1, 1, 1))
    torch.testing.assert_close(found, torch.full((1, 1, 100), 0.01), atol=1e-6, rtol=0)
    assert found.dtype == torch.float32
