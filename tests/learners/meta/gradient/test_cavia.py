from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput
from fewshot.learners.meta import Tasks, create_meta_learner
from fewshot.learners.meta.gradient.cavia import CAVIA
from fewshot.learners.meta.sinusoid import Sinusoids, sinusoid_backbone

ENGINES = ("loop", "batched")


def convolutions() -> nn.Sequential:
    def block(inputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))

    return nn.Sequential(block(1), block(4), block(4), nn.Flatten())


def images(tasks: int = 2) -> Tasks:
    inputs = torch.randn(2, tasks, 6, 1, 8, 8, dtype=torch.float64)
    labels = torch.arange(3).repeat(2).expand(tasks, 6)
    return Tasks(inputs[0], labels, inputs[1], labels, ways=3)


def image_model(learner: CAVIA) -> nn.Module:
    return learner.model(convolutions(), 4, 3).double().train()


def sinusoid_model(learner: CAVIA) -> nn.Module:
    return learner.model(sinusoid_backbone(), 40, 1).double().train()


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """The gradient, zero where an engine leaves a parameter out that makes no difference."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def reference(model: nn.Module, tasks: Tasks, rate: float, steps: int) -> tuple[Tensor, Tensor]:
    """Loss and logits of the image model, from the formulas, with one task after another."""
    state = dict(model.named_parameters())

    def logits(pixels: Tensor, context: Tensor) -> Tensor:
        for block in range(3):
            name = f"backbone.{block}"
            pixels = nn.functional.conv2d(pixels, state[f"{name}.0.weight"], state[f"{name}.0.bias"], padding=1)
            mean, var = pixels.mean((0, 2, 3), keepdim=True), pixels.var((0, 2, 3), unbiased=False, keepdim=True)
            weight, bias = (state[f"{name}.1.{part}"][:, None, None] for part in ("weight", "bias"))
            pixels = (pixels - mean) / (var + 1e-5).sqrt() * weight + bias
            if block == 2:
                scale, shift = (
                    state[f"{name}.film.{part}.weight"] @ context + state[f"{name}.film.{part}.bias"]
                    for part in ("scale", "shift")
                )
                pixels = pixels * (1 + scale[:, None, None]) + shift[:, None, None]
            pixels = nn.functional.max_pool2d(pixels.relu(), 2)
        return pixels.flatten(1) @ state["head.weight"].T + state["head.bias"]

    losses, found = [], []
    for task in range(len(tasks)):
        context = torch.zeros(7, dtype=torch.float64, requires_grad=True)
        for _ in range(steps):
            loss = cross_entropy(logits(tasks.support[task], context), tasks.support_labels[task])
            context = context - rate * torch.autograd.grad(loss, context, create_graph=True)[0]
        found.append(logits(tasks.query[task], context))
        losses.append(cross_entropy(found[-1], tasks.query_labels[task]))
    return torch.stack(losses).mean(), torch.stack(found)


@pytest.mark.parametrize("engine", ENGINES)
def test_images_against_the_formulas(engine: str) -> None:
    learner = CAVIA(context=7, engine=engine)
    model, tasks = image_model(learner), images()
    loss, logits = reference(model, tasks, rate=1.0, steps=2)
    outcome = learner.backward(model, tasks, 0.0)
    torch.testing.assert_close(outcome.loss, loss.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(outcome.logits, logits.detach(), rtol=0, atol=1e-11)
    names = [name for name, _ in model.named_parameters() if not learner.adapts(name)]
    expected = torch.autograd.grad(loss, [model.get_parameter(name) for name in names])
    for name, gradient in zip(names, expected, strict=True):
        torch.testing.assert_close(gradient_of(model.get_parameter(name)), gradient, rtol=0, atol=1e-10)
    torch.testing.assert_close(learner.logits(model.eval(), tasks), logits.detach(), rtol=0, atol=1e-11)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["images", "sinusoid"])
def test_the_meta_gradient_is_the_slope_of_the_loss(kind: str, engine: str) -> None:
    learner = CAVIA(context=5, engine=engine)
    if kind == "images":
        model, tasks = image_model(learner), images()
    else:
        model, tasks = sinusoid_model(learner), Sinusoids(seed=2).sample(3).to(dtype=torch.float64)
    learner.backward(model, tasks, 0.0)
    for name, parameter in model.named_parameters():
        if learner.adapts(name):
            continue
        direction = torch.randn_like(parameter)
        ends = []
        for sign in (-1, 1):
            moved = deepcopy(model)
            moved.get_parameter(name).data.add_(sign * 1e-6 * direction)
            ends.append(learner.backward(moved, tasks, 0.0).loss)
        slope = (ends[1] - ends[0]) / 2e-6
        torch.testing.assert_close((gradient_of(parameter) * direction).sum(), slope, rtol=1e-5, atol=1e-8)


def test_the_context_of_a_sinusoid_is_further_inputs_of_the_first_layer() -> None:
    learner = CAVIA(context=5)
    model = sinusoid_model(learner)
    model.backbone.film.context.data.normal_()
    inputs = torch.randn(6, 1, dtype=torch.float64)
    weight = torch.cat([model.backbone[0].weight, model.backbone.film.shift.weight], 1)
    widened = torch.cat([inputs, model.backbone.film.context.expand(6, 5)], 1) @ weight.T + model.backbone[0].bias
    expected = (widened.relu() @ model.backbone[3].weight.T + model.backbone[3].bias).relu()
    torch.testing.assert_close(model.backbone(inputs), expected)


def test_the_context_stays_at_zero_and_all_else_moves() -> None:
    learner = CAVIA(context=5)
    model = image_model(learner)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    learner.backward(model, images(), 0.0)
    for parameter in model.parameters():
        parameter.data -= 0.1 * gradient_of(parameter)
    assert not model.backbone[2].film.context.any()
    # the bias of a convolution makes no difference before a batch norm
    idle = {name for name in before if name.endswith((".0.bias", ".context"))}
    assert all(not torch.equal(before[name], model.get_parameter(name)) for name in before.keys() - idle)
    assert list(learner.rates(model)) == ["backbone.2.film.context"]


def test_names_of_the_backbone_stay_and_the_layer_can_be_chosen() -> None:
    plain = {name for name, _ in convolutions().named_parameters()}
    model = CAVIA(context=5, layer="0.0", batch_norm="running").model(convolutions(), 4, 3)
    found = {name for name, _ in model.backbone.named_parameters()}
    added = found - plain
    assert plain <= found
    assert {name.split(".film.")[0] for name in added} == {"0"}
    assert [name for name, _ in model.backbone[0].named_children()] == ["0", "film", "1", "2", "3"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [("2.7", "layer '2.7' must be a batch norm, convolution or linear layer"), ("1.2", "layer '1.2' must be")],
)
def test_a_layer_that_cannot_be_changed_is_refused(layer: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        CAVIA(layer=layer).model(convolutions(), 4, 3)


def test_a_backbone_without_layers_and_a_bad_context_are_refused() -> None:
    with pytest.raises(InvalidInput, match="the backbone has no batch norm, convolution or linear layer"):
        CAVIA().model(nn.Identity(), 4, 3)
    with pytest.raises(InvalidInput, match="cavia: context must be above zero, found 0"):
        create_meta_learner("cavia", context=0)
