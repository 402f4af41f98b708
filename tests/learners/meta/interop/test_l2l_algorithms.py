import builtins
import json

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput, MissingPackage
from fewshot.learners.meta import Tasks, create_meta_learner
from fewshot.learners.meta.interop.learn2learn import Learn2Learn

pytest.importorskip("learn2learn", reason="the extra learn2learn is not installed")

WAYS, SHOTS, QUERIES, TASKS = 3, 2, 4, 2
ALGORITHMS = [("maml", "scale"), ("meta-sgd", "scale"), ("gbml", "scale"), ("gbml", "kronecker")]


def network():
    """Softplus and mean pooling, so that finite differences meet no corner."""
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Softplus(), nn.AvgPool2d(4), nn.Flatten())


def tasks():
    labels = torch.arange(WAYS)
    return Tasks(
        torch.rand(TASKS, WAYS * SHOTS, 1, 6, 6, dtype=torch.float64),
        labels.repeat(TASKS, SHOTS),
        torch.rand(TASKS, WAYS * QUERIES, 1, 6, 6, dtype=torch.float64),
        labels.repeat(TASKS, QUERIES),
        WAYS,
    )


def made(**settings):
    learner = Learn2Learn(**settings)
    return learner, learner.model(network(), 4, WAYS).double().train()


def reference_loss(model, batch, learner, rates=None):
    """The mean query loss, adapted with `rates` (one a parameter) in place of the inner rate."""
    module = model.algorithm.module
    initial = dict(module.named_parameters())
    rates = rates or dict.fromkeys(initial, learner.inner_rate)
    total = 0.0
    for index in range(len(batch)):
        now = initial
        for _ in range(learner.inner_steps):
            loss = cross_entropy(functional_call(module, now, batch.support[index]), batch.support_labels[index])
            found = torch.autograd.grad(loss, list(now.values()), create_graph=not learner.first_order)
            now = {name: value - rates[name] * step for (name, value), step in zip(now.items(), found, strict=True)}
        total += cross_entropy(functional_call(module, now, batch.query[index]), batch.query_labels[index])
    return total / len(batch)


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("algorithm", ["maml", "meta-sgd", "gbml"])
def test_gradient_of_the_formula(algorithm, steps, first_order):
    learner, model = made(algorithm=algorithm, inner_rate=0.3, inner_steps=steps, first_order=first_order)
    batch = tasks()
    module, rates = model.algorithm.module, None
    names = [name for name, _ in module.named_parameters()]
    if algorithm == "meta-sgd":
        rates = dict(zip(names, model.algorithm.lrs, strict=True))
    if algorithm == "gbml":
        scales = [each.alpha for each in model.algorithm.compute_update.transforms_modules]
        rates = dict(zip(names, (0.3 * scale for scale in scales), strict=True))
    loss = reference_loss(model, batch, learner, rates)
    wanted = torch.autograd.grad(loss, list(model.parameters()))
    outcome = learner.backward(model, batch, 0.0)
    assert abs(outcome.loss - loss.detach()) < 1e-12
    assert not outcome.logits.requires_grad
    for (name, parameter), gradient in zip(model.named_parameters(), wanted, strict=True):
        assert (parameter.grad - gradient).abs().max() < 1e-10, name


@pytest.mark.parametrize(("algorithm", "transform"), [*ALGORITHMS, ("gbml", "meta-curvature")])
def test_gradient_against_finite_differences(algorithm, transform):
    learner, model = made(algorithm=algorithm, transform=transform, inner_rate=0.1, inner_steps=2)
    batch = tasks()
    learner.backward(model, batch, 0.0)
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    directions = [torch.randn_like(parameter) for parameter in model.parameters()]
    slope = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))
    losses = []
    for step in (1e-5, -2e-5):
        with torch.no_grad():
            for parameter, direction in zip(model.parameters(), directions, strict=True):
                parameter += step * direction
        losses.append(learner.backward(model, batch, 0.0).loss)
    assert abs((losses[0] - losses[1]) / 2e-5 - slope) < 1e-7 * max(1, abs(slope))


@pytest.mark.parametrize(("algorithm", "transform"), ALGORITHMS)
def test_prediction_adapts_and_leaves_the_model_alone(algorithm, transform):
    learner, model = made(algorithm=algorithm, transform=transform, inner_rate=0.1, evaluation_steps=3)
    model.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batch = tasks()
    logits = learner.logits(model, batch)
    assert logits.shape == (TASKS, WAYS * QUERIES, WAYS)
    assert not logits.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    again = Learn2Learn(algorithm=algorithm, transform=transform, inner_rate=0.1, inner_steps=3)
    assert torch.allclose(again.backward(model.train(), batch, 0.0).logits, logits, atol=1e-12)


def test_weights_pass_through_state_dict():
    learner, model = made(algorithm="meta-sgd")
    batch = tasks()
    _, other = made(algorithm="meta-sgd")
    assert not torch.equal(learner.logits(model, batch), learner.logits(other, batch))
    other.load_state_dict(model.state_dict())
    assert torch.equal(learner.logits(model, batch), learner.logits(other, batch))
    assert model.backbone[0].weight.shape == (4, 1, 3, 3)


def test_registered_with_its_settings():
    learner = create_meta_learner("learn2learn", algorithm="gbml", inner_steps=5)
    assert learner == Learn2Learn(algorithm="gbml", inner_steps=5)
    assert learner.fixed_ways
    assert json.loads(json.dumps(learner.facts()))["settings"]["algorithm"] == "gbml"


def test_bad_settings():
    with pytest.raises(InvalidInput, match="algorithm must be 'maml' or 'meta-sgd' or 'gbml', found 'reptile'"):
        Learn2Learn(algorithm="reptile")
    with pytest.raises(InvalidInput, match="inner_steps must be above zero, found 0"):
        Learn2Learn(inner_steps=0)


def test_without_the_package(monkeypatch):
    found = builtins.__import__

    def absent(name, *rest, **named):
        if name == "learn2learn":
            raise ImportError(name)
        return found(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingPackage, match=r"learn2learn.*not installed; run in a clone of fewshot: uv sync"):
        Learn2Learn().model(network(), 4, WAYS)
