from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy

from fewshot.errors import InvalidInput
from fewshot.learners.meta import Tasks, create_meta_learner
from fewshot.learners.meta.gradient.maml_plus_plus import MAMLPlusPlus, step_weights

ENGINES = ("loop", "batched")
LATE = 0.9  # second order, loss of the last step alone


def images(tasks: int = 2) -> Tasks:
    inputs = torch.randn(2, tasks, 6, 1, 6, 6, dtype=torch.float64)
    labels = torch.arange(3).repeat(2).expand(tasks, 6)
    return Tasks(inputs[0], labels, inputs[1], labels, ways=3)


def made(learner: MAMLPlusPlus) -> nn.Module:
    """A model whose steps differ: in their rates, and in weight and bias of their batch norms."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten())
    model = learner.model(network, 64, 3).double().train()
    model.rates.data.uniform_(0.05, 0.3)
    if learner.batch_norm == "per-step":
        for values in (model.backbone[1].weight, model.backbone[1].bias):
            values.data += 0.3 * torch.randn_like(values)
    return model


def reference(model: nn.Module, tasks: Tasks, weights: list[float], first_order: bool) -> Tensor:
    """The mean weighted query loss, from the formulas, with one task after another."""
    kernel, head, bias = model.backbone[0].weight, model.head.weight, model.head.bias
    gamma, beta = model.backbone[1].weight, model.backbone[1].bias

    def loss(inputs: Tensor, labels: Tensor, weights: list[Tensor], step: int) -> Tensor:
        maps = conv2d(inputs, weights[0])
        mean, var = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), unbiased=False, keepdim=True)
        maps = (maps - mean) / (var + 1e-5).sqrt() * gamma[step, :, None, None] + beta[step, :, None, None]
        return cross_entropy(maps.tanh().flatten(1) @ weights[1].T + weights[2], labels)

    total = torch.zeros((), dtype=torch.float64)
    for task in range(len(tasks)):
        adapted: list[Tensor] = [kernel, head, bias]
        for step, weight in enumerate(weights):
            support = loss(tasks.support[task], tasks.support_labels[task], adapted, step)
            slopes = torch.autograd.grad(support, adapted, create_graph=True)
            if first_order:
                slopes = [slope.detach() for slope in slopes]
            rates = model.rates[step]
            adapted = [each - rate * slope for each, rate, slope in zip(adapted, rates, slopes, strict=True)]
            total = total + weight * loss(tasks.query[task], tasks.query_labels[task], adapted, step) / len(tasks)
    return total


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("progress", "weights", "first_order"),
    [
        (0.0, [1 / 3, 1 / 3, 1 / 3], True),
        (0.05, [1 / 6, 1 / 6, 2 / 3], True),
        (0.2, [0.0, 0.0, 1.0], True),
        (0.5, [0.0, 0.0, 1.0], False),
    ],
)
def test_every_part_of_the_training_against_the_formulas(
    progress: float, weights: list[float], first_order: bool, engine: str
) -> None:
    learner = MAMLPlusPlus(inner_steps=3, engine=engine)
    model, tasks = made(learner), images()
    expected = reference(model, tasks, weights, first_order)
    outcome = learner.backward(model, tasks, progress)
    torch.testing.assert_close(outcome.loss, expected.detach(), rtol=1e-12, atol=0)
    parameters = list(model.parameters())
    for parameter, slope in zip(parameters, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(parameter.grad, slope, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("progress", [0.05, LATE])
def test_the_meta_gradient_is_the_slope_of_the_loss(progress: float, engine: str) -> None:
    learner = MAMLPlusPlus(inner_steps=3, first_order_until=0.0, engine=engine)
    model, tasks = made(learner), images()
    learner.backward(model, tasks, progress)
    for name, parameter in model.named_parameters():
        direction = torch.randn_like(parameter)
        ends = []
        for sign in (-1, 1):
            moved = deepcopy(model)
            moved.get_parameter(name).data.add_(sign * 1e-6 * direction)
            ends.append(learner.backward(moved, tasks, progress).loss)
        slope = (ends[1] - ends[0]) / 2e-6
        torch.testing.assert_close((parameter.grad * direction).sum(), slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_weights_are_those_of_the_authors_schedule(steps: int) -> None:
    """Their epochs, written out: linear decay over 15 of 150 epochs, a floor of 3 %, the last step takes the rest."""
    for epoch in range(150):
        weights = np.full(steps, 1 / steps)
        decay = 1 / steps / 15
        weights[:-1] = np.maximum(weights[:-1] - epoch * decay, 0.03 / steps)
        weights[-1] = min(weights[-1] + epoch * (steps - 1) * decay, 1 - (steps - 1) * 0.03 / steps)
        if epoch >= 15:
            weights = np.eye(steps)[-1]
        found = step_weights(epoch / 150, steps, 0.1)
        np.testing.assert_allclose(found, weights, atol=1e-12)
        assert sum(found) == pytest.approx(1)


def test_without_a_share_the_last_step_alone_counts() -> None:
    assert step_weights(0.0, 4, 0.0) == [0, 0, 0, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_steps_and_no_schedule_are_maml(engine: str) -> None:
    settings = {"inner_rate": 0.125, "inner_steps": 2, "batch_norm": "transductive", "engine": engine}
    plus = MAMLPlusPlus(**settings, multi_step=0.0, first_order_until=0.0)
    plain = create_meta_learner("maml", **settings)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten())
    ours = plus.model(deepcopy(network), 64, 3).double().train()
    theirs = plain.model(deepcopy(network), 64, 3).double().train()
    theirs.load_state_dict({name: each for name, each in ours.state_dict().items() if name != "rates"})
    tasks = images()
    plus.backward(ours, tasks, 0.0)
    plain.backward(theirs, tasks, 0.0)
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name).grad, parameter.grad, rtol=0, atol=1e-10)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_step_has_averages_of_its_own_and_evaluation_uses_them(engine: str) -> None:
    learner = MAMLPlusPlus(inner_steps=2, evaluation_steps=2, engine=engine)
    model = made(learner)
    for _ in range(3):
        learner.backward(model, images(), LATE)
    mean = model.backbone[1].running_mean
    assert mean.shape == (2, 4)
    assert (mean != 0).all()
    assert not torch.equal(mean[0], mean[1])
    tasks = images()
    alone = Tasks(tasks.support, tasks.support_labels, tasks.query[:, :1], tasks.query_labels[:, :1], ways=3)
    together = learner.logits(model.eval(), tasks)[:, :1]
    torch.testing.assert_close(learner.logits(model, alone), together, rtol=0, atol=1e-11)


def test_engines_agree_in_evaluation() -> None:
    model = made(MAMLPlusPlus(inner_steps=2))
    for _ in range(3):
        MAMLPlusPlus(inner_steps=2, engine="loop").backward(model, images(), LATE)
    tasks = images()
    loop, batched = (
        MAMLPlusPlus(inner_steps=2, evaluation_steps=4, engine=engine).logits(model.eval(), tasks) for engine in ENGINES
    )
    torch.testing.assert_close(batched, loop, rtol=0, atol=1e-10)


def test_a_training_goes_on_from_its_state_and_progress_alone() -> None:
    learner = MAMLPlusPlus(inner_steps=2)
    parts = [images() for _ in range(4)]

    def train(model: nn.Module, first: int, last: int) -> None:
        for step in range(first, last):
            model.zero_grad()
            learner.backward(model, parts[step], step / 4)
            for parameter in model.parameters():
                parameter.data -= 0.1 * parameter.grad

    whole, first, second = (made(learner) for _ in range(3))
    start = deepcopy(whole.state_dict())
    train(whole, 0, 4)
    first.load_state_dict(start)
    train(first, 0, 2)
    second.load_state_dict(first.state_dict())
    train(second, 2, 4)
    for name, values in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], values), name
    assert not torch.equal(start["rates"], whole.rates)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"multi_step": 1.5}, r"maml\+\+: multi_step is a share of the training, from 0 to 1, found 1.5"),
        (
            {"first_order_until": -0.1},
            r"maml\+\+: first_order_until is a share of the training, from 0 to 1, found -0.1",
        ),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        create_meta_learner("maml++", **settings)
