import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from fewshot.learners.transductive.sinkhorn import sinkhorn


def reference(scores, mass, steps=3000):
    """Rows to 1 and columns to their mass, in turn, for one task."""
    plan = np.exp(scores - scores.max(1, keepdims=True))
    for _ in range(steps):
        plan /= plan.sum(1, keepdims=True)
        plan *= mass / plan.sum(0)
    return plan


def draw(tasks=3, items=12, ways=4, sharpness=3.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = sharpness * torch.randn(tasks, items, ways, generator=generator, dtype=torch.float64)
    share = torch.rand(tasks, ways, generator=generator, dtype=torch.float64) + 0.2
    return scores, items * share / share.sum(1, keepdim=True), torch.ones(tasks, items, 1, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_scaling_of_rows_and_columns(dtype):
    scores, mass, real = draw()
    found = sinkhorn(scores.to(dtype), mass.to(dtype), real.to(dtype))
    assert found.dtype == dtype
    for task in range(3):
        np.testing.assert_allclose(found[task], reference(scores[task].numpy(), mass[task].numpy()), atol=1e-5)


def test_columns_are_exact_and_rows_within_the_tolerance():
    scores, mass, real = draw(sharpness=4)
    for tolerance in (1e-2, 1e-9):
        found = sinkhorn(scores, mass, real, tolerance=tolerance)
        torch.testing.assert_close(found.sum(1), mass)
        assert (found.sum(2) - 1).abs().max() <= tolerance


def test_sharp_scores_lead_to_the_cheapest_transport():
    scores, mass, real = draw(tasks=1, sharpness=1)
    cost, (items, ways) = -scores[0].numpy(), scores[0].shape
    rows, columns = np.kron(np.eye(items), np.ones(ways)), np.kron(np.ones(items), np.eye(ways))
    best = linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.append(np.ones(items), mass[0].numpy())).fun
    sharp, soft = (sinkhorn(factor * scores, mass, real, steps=20_000)[0].numpy() for factor in (100, 1))
    assert np.sum(sharp * cost) == pytest.approx(best, abs=0.02)
    assert np.sum(soft * cost) > best + 0.1


def test_a_task_stops_at_the_same_step_alone_as_among_others():
    scores, mass, real = draw(tasks=6)
    scores[::2] *= 8  # these take long
    together = sinkhorn(scores, mass, real, tolerance=1e-3)
    for task in range(6):
        part = slice(task, task + 1)
        alone = sinkhorn(scores[part], mass[part], real[part], tolerance=1e-3)
        torch.testing.assert_close(alone[0], together[task], atol=1e-12, rtol=0)


def test_padding_and_absent_classes_get_nothing_and_change_nothing():
    scores, mass, real = draw()
    padded = torch.full((3, 15, 6), 50.0, dtype=torch.float64)
    padded[:, :12, :4] = scores
    found = sinkhorn(
        padded, torch.nn.functional.pad(mass, (0, 2)), torch.nn.functional.pad(real, (0, 0, 0, 3)), tolerance=1e-9
    )
    torch.testing.assert_close(found[:, :12, :4], sinkhorn(scores, mass, real, tolerance=1e-9))
    assert found[:, 12:].abs().max() == 0
    assert found[..., 4:].abs().max() == 0


def test_scores_of_any_size_give_finite_assignments():
    scores, mass, real = draw()
    for scale, shift in ((0, 0), (1e4, 0), (1, 1e6), (1, -1e6)):
        found = sinkhorn(scores.float() * scale + shift, mass.float(), real.float())
        assert found.isfinite().all()
        torch.testing.assert_close(found.sum(1), mass.float())


def test_no_step_beyond_the_limit():
    scores, mass, real = draw(sharpness=5)
    for task in range(3):
        expected = reference(scores[task].numpy(), mass[task].numpy(), steps=7)
        np.testing.assert_allclose(sinkhorn(scores, mass, real, tolerance=0, steps=7)[task], expected)


def least_reference(scores, least, steps):
    """Rows to 1, then the columns below their least mass to it, in turn."""
    plan = np.exp(scores - scores.max(1, keepdims=True))
    for _ in range(steps):
        plan /= plan.sum(1, keepdims=True)
        size = plan.sum(0)
        plan *= np.where(size < least, least / size, 1)
    return plan


def test_columns_above_the_least_mass_are_left():
    scores, mass, real = draw(sharpness=1)
    scores[..., 0] += 3
    for share in (0.3, 0.9, 1):
        found = sinkhorn(scores, share * mass, real, tolerance=0, steps=50, at_least=True)
        for task in range(3):
            expected = least_reference(scores[task].numpy(), share * mass[task].numpy(), 50)
            np.testing.assert_allclose(found[task], expected, atol=1e-10)
        assert (found.sum(1) > share * mass - 1e-9).all()
    free = sinkhorn(scores, 1e-6 * mass, real, at_least=True)
    torch.testing.assert_close(free, scores.softmax(2))
