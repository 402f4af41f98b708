import math

import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners.meta.sinusoid import Sinusoids, sinusoid_backbone


def test_a_task_is_one_sine_wave_in_the_papers_ranges() -> None:
    tasks = Sinusoids(shots=10, queries=7, seed=3).sample(2000)
    assert tasks.support.shape == tasks.support_labels.shape == (2000, 10, 1)
    assert tasks.query.shape == tasks.query_labels.shape == (2000, 7, 1)
    assert (tasks.ways, tasks.support.dtype, tasks.query_labels.dtype) == (0, torch.float32, torch.float32)
    # least squares on sin x and cos x finds A cos phi and A sin phi from the support; they must explain the query
    waves = torch.cat([tasks.support.sin(), tasks.support.cos()], 2).double()
    found = torch.linalg.lstsq(waves, tasks.support_labels.double()).solution
    predicted = torch.cat([tasks.query.sin(), tasks.query.cos()], 2).double() @ found
    assert torch.allclose(predicted, tasks.query_labels.double(), atol=1e-4)
    amplitude, phase = found.norm(dim=1).squeeze(), torch.atan2(found[:, 1, 0], found[:, 0, 0])
    for values, low, high in ((amplitude, 0.1, 5.0), (phase, 0.0, math.pi), (tasks.support.double(), -5.0, 5.0)):
        assert low - 1e-4 <= values.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < values.max() <= high + 1e-4
        # the mean of n uniform numbers lies within four standard errors of the middle
        error = (high - low) / math.sqrt(12 * values.numel())
        assert abs(values.mean() - (low + high) / 2) < 4 * error


def test_a_task_depends_on_seed_and_number_alone() -> None:
    sinusoids = Sinusoids(seed=5)
    whole, part = sinusoids.sample(20), sinusoids.sample(7, start=9)
    assert torch.equal(whole[9:16].query_labels, part.query_labels)
    assert torch.equal(whole[9:16].support, part.support)
    assert not torch.equal(Sinusoids(seed=6).sample(20).support, whole.support)


def test_points_are_not_shared_between_support_and_query_or_between_tasks() -> None:
    tasks = Sinusoids(seed=1).sample(50)
    points = torch.cat([tasks.support, tasks.query], 1)
    assert len(points.unique()) == points.numel()


def test_more_queries_leave_the_support_as_it_was() -> None:
    few, many = Sinusoids(queries=10).sample(4), Sinusoids(queries=100).sample(4)
    assert torch.equal(few.support, many.support)
    assert torch.equal(few.query, many.query[:, :10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shots": 0}, "shots must be an integer of at least 1, found 0"),
        ({"queries": 2.5}, "queries must be an integer of at least 1, found 2.5"),
        ({"seed": -1}, "seed must be an integer of at least 0, found -1"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Sinusoids(**settings)


def test_bad_counts_are_refused() -> None:
    with pytest.raises(InvalidInput, match="tasks must be an integer of at least 1, found 0"):
        Sinusoids().sample(0)
    with pytest.raises(InvalidInput, match="start must be an integer of at least 0, found -1"):
        Sinusoids().sample(1, start=-1)


def test_the_network_has_two_hidden_layers_of_forty() -> None:
    backbone = sinusoid_backbone()
    assert [type(layer).__name__ for layer in backbone] == ["Linear", "ReLU", "Linear", "ReLU"]
    assert [tuple(weight.shape) for weight in backbone.parameters()] == [(40, 1), (40,), (40, 40), (40,)]
