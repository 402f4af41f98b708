import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from fewshot.errors import InvalidInput
from fewshot.learners.meta import Tasks, create_meta_learner
from fewshot.learners.meta.gradient.imaml import IMAML, conjugate_gradient

ENGINES = ("loop", "batched")


def regression(tasks: int = 3, samples: int = 8, dim: int = 4) -> Tasks:
    inputs = torch.randn(2, tasks, samples, dim, dtype=torch.float64)
    labels = torch.randn(2, tasks, samples, 2, dtype=torch.float64)
    return Tasks(inputs[0], labels[0], inputs[1], labels[1], ways=0)


def gradients(learner: IMAML, model: nn.Module, tasks: Tasks) -> dict[str, Tensor]:
    model.zero_grad()
    learner.backward(model.train(), tasks, 0.0)
    return {name: each.grad.clone() for name, each in model.named_parameters()}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("penalty", [0.3, 2.0, 20.0])
def test_on_a_quadratic_it_is_the_closed_form(engine: str, penalty: float) -> None:
    tasks = regression()
    learner = IMAML(inner_rate=1 / (penalty + 4), inner_steps=300, penalty=penalty, solver_steps=10, engine=engine)
    model = learner.model(nn.Identity(), 4, 2).double()
    found = gradients(learner, model, tasks)
    # one output of linear regression: L = |X v - y|^2 / (2 S), with v the weight and the bias, H = X^T X / S
    first = torch.cat([model.head.weight, model.head.bias[:, None]], 1).detach()
    expected, loss = torch.zeros_like(first), 0.0
    for number in range(len(tasks)):
        x, z = (
            torch.cat([each[number], torch.ones(8, 1, dtype=torch.float64)], 1) for each in (tasks.support, tasks.query)
        )
        hessian = x.T @ x / 8
        eye = torch.eye(5, dtype=torch.float64)
        pulled = hessian + penalty * eye
        for output in range(2):
            y, w = tasks.support_labels[number, :, output], tasks.query_labels[number, :, output]
            solution = torch.linalg.solve(pulled, x.T @ y / 8 + penalty * first[output])
            slope = z.T @ (z @ solution - w) / 8
            expected[output] += torch.linalg.solve(eye + hessian / penalty, slope) / len(tasks)
            loss += float((z @ solution - w).square().mean()) / 2 / len(tasks)
    torch.testing.assert_close(found["head.weight"], expected[:, :4], rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(found["head.bias"], expected[:, 4], rtol=1e-9, atol=1e-11)
    model.zero_grad()
    assert float(learner.backward(model, tasks, 0.0).loss) == pytest.approx(loss, rel=1e-9)


def tanh_network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh())


def unrolled(model: nn.Module, tasks: Tasks, penalty: float, rate: float, steps: int) -> dict[str, Tensor]:
    """The gradient through every step of the inner problem, one task after another."""
    first = dict(model.named_parameters())
    total = torch.zeros((), dtype=torch.float64)
    for number in range(len(tasks)):
        weights = first
        for _ in range(steps):
            error = functional_call(model, weights, (tasks.support[number],)) - tasks.support_labels[number]
            distance = sum((weights[name] - first[name]).square().sum() for name in first)
            slopes = torch.autograd.grad(
                error.square().mean() + penalty / 2 * distance, list(weights.values()), create_graph=True
            )
            weights = {name: each - rate * slope for (name, each), slope in zip(weights.items(), slopes, strict=True)}
        error = functional_call(model, weights, (tasks.query[number],)) - tasks.query_labels[number]
        total = total + error.square().mean() / len(tasks)
    return dict(zip(first, torch.autograd.grad(total, list(first.values())), strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_at_the_solution_it_is_the_gradient_through_all_steps(engine: str) -> None:
    tasks = regression(tasks=2)
    learner = IMAML(inner_rate=0.25, inner_steps=60, penalty=2.0, solver_steps=40, engine=engine)
    model = learner.model(tanh_network(), 5, 2).double()
    found = gradients(learner, model, tasks)
    for name, expected in unrolled(model, tasks, penalty=2.0, rate=0.25, steps=60).items():
        torch.testing.assert_close(found[name], expected, rtol=1e-8, atol=1e-10)


def test_engines_agree_on_images_with_batch_norm() -> None:
    images = torch.randn(2, 3, 6, 1, 6, 6, dtype=torch.float64)
    labels = torch.arange(3).repeat(2).expand(3, 6)
    tasks = Tasks(images[0], labels, images[1], labels, ways=3)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    found = []
    for engine in ENGINES:
        learner = IMAML(engine=engine)
        model = learner.model(network, 16, 3).double()
        torch.manual_seed(1)
        nn.init.normal_(model.head.weight, std=0.1)
        nn.init.zeros_(model.head.bias)
        found.append((gradients(learner, model, tasks), learner.logits(model.eval(), tasks)))
    for name, expected in found[0][0].items():
        torch.testing.assert_close(found[1][0][name], expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=0, atol=1e-10)


def test_first_order_is_the_query_gradient_at_the_solution() -> None:
    tasks = regression(tasks=1)
    learner = IMAML(inner_steps=5, first_order=True)
    model = learner.model(tanh_network(), 5, 2).double()
    found = gradients(learner, model, tasks)
    weights = {name: each.detach().clone() for name, each in model.named_parameters()}
    first = dict(weights)
    for step in range(6):
        weights = {name: each.detach().requires_grad_() for name, each in weights.items()}
        inputs, labels = (tasks.support, tasks.support_labels) if step < 5 else (tasks.query, tasks.query_labels)
        loss = (functional_call(model, weights, (inputs[0],)) - labels[0]).square().mean()
        slopes = dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))
        if step < 5:
            weights = {name: each - 0.1 * (slopes[name] + 2.0 * (each - first[name])) for name, each in weights.items()}
    for name, expected in slopes.items():
        torch.testing.assert_close(found[name], expected, rtol=1e-12, atol=1e-14)


def test_gradients_add_up_and_no_graph_is_left() -> None:
    tasks = regression()
    learner = IMAML()
    model = learner.model(tanh_network(), 5, 2).double()
    once = gradients(learner, model, tasks)
    learner.backward(model, tasks, 0.0)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, 2 * once[name])
        assert not parameter.grad.requires_grad
    assert not learner.logits(model.eval(), tasks).requires_grad


def test_conjugate_gradient_solves_systems_of_several_tasks() -> None:
    root = torch.randn(4, 7, 7, dtype=torch.float64)
    matrices = torch.eye(7, dtype=torch.float64) + root @ root.mT / 7
    target = torch.randn(4, 7, dtype=torch.float64)
    target[2] = 0
    found = conjugate_gradient(lambda vector: (matrices @ vector[..., None])[..., 0], target, steps=14)
    torch.testing.assert_close(found, torch.linalg.solve(matrices, target), rtol=1e-9, atol=1e-11)


def test_conjugate_gradient_stops_where_the_matrix_curves_down() -> None:
    matrices = torch.stack([torch.diag(torch.tensor(each)) for each in ([-1.0, -2.0], [2.0, 3.0])]).double()
    target = torch.ones(2, 2, dtype=torch.float64)
    found = conjugate_gradient(lambda vector: (matrices @ vector[..., None])[..., 0], target, steps=9)
    torch.testing.assert_close(found[0], target[0])
    torch.testing.assert_close(found[1], torch.tensor([1 / 2, 1 / 3], dtype=torch.float64))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalty": 0.0}, "imaml: penalty must be above zero, found 0.0"),
        ({"solver_steps": 0}, "imaml: solver_steps must be above zero, found 0"),
        ({"batch_norm": "per-step"}, "imaml: batch_norm 'per-step' learns weights that are no part"),
    ],
)
def test_bad_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        create_meta_learner("imaml", **settings)
