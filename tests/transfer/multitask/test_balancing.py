"""Each balancing against plain float64 arithmetic written from its paper."""

import math

import pytest
import torch
from torch import nn

from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.multitask import (
    GradNorm,
    MultitaskNetwork,
    PCGrad,
    create_balancing,
    gradnorm_gradient,
    list_balancings,
    project_conflicts,
    task_losses,
    uncertainty_loss,
)


def network_and_batch(tasks: int = 3, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    sizes = tuple(range(2, 2 + tasks))
    network = MultitaskNetwork(nn.Sequential(nn.Linear(4, 6), nn.Tanh()), 6, sizes).double()
    inputs = torch.randn(10, 4, generator=generator, dtype=torch.float64)
    labels = torch.stack([torch.randint(size, (10,), generator=generator) for size in sizes], 1)
    return network, inputs, labels


def gradients(network) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters()]


def run(name: str, network, inputs, labels, balance=None, **settings):
    balancing = create_balancing(name, **settings)
    balance = balance or balancing.start(labels.shape[1])
    balance.weights = balance.weights.detach().double().requires_grad_(balance.weights.requires_grad)
    balance.first = balance.first.double()
    network.zero_grad()
    losses, present = task_losses(network(inputs), labels)
    balancing.backward(losses, present, network, balance)
    return balance, losses.detach()


def test_all_are_registered() -> None:
    assert list_balancings() == ["equal", "gradnorm", "pcgrad", "uncertainty"]
    assert all("arXiv" in create_balancing(name).paper or name == "equal" for name in list_balancings())
    with pytest.raises(UnknownName, match="gradnorm"):
        create_balancing("gradnrm")
    with pytest.raises(InvalidInput, match="alpha"):
        GradNorm(alpha=-1)


def test_equal_is_the_gradient_of_the_sum() -> None:
    network, inputs, labels = network_and_batch()
    run("equal", network, inputs, labels)
    found = gradients(network)
    network.zero_grad()
    for task, logits in enumerate(network(inputs)):
        nn.functional.cross_entropy(logits, labels[:, task]).backward(retain_graph=True)
    for one, other in zip(found, gradients(network), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("seed", range(3))
def test_uncertainty_loss_by_hand(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    losses = torch.rand(4, generator=generator, dtype=torch.float64) * 3 + 0.1
    logs = torch.randn(4, generator=generator, dtype=torch.float64)
    expected = 0.0
    for loss, log in zip(losses.tolist(), logs.tolist(), strict=True):
        sigma = math.sqrt(math.exp(log))
        expected += loss / sigma**2 + math.log(sigma)
    assert float(uncertainty_loss(losses, logs)) == pytest.approx(expected, rel=1e-12)


def test_the_best_variance_is_twice_the_loss() -> None:
    losses = torch.tensor([0.05, 0.7, 4.0], dtype=torch.float64)
    logs = (2 * losses).log().requires_grad_()
    uncertainty_loss(losses, logs).backward()
    torch.testing.assert_close(logs.grad, torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    for shift in (-0.1, 0.1):
        assert uncertainty_loss(losses, logs.detach() + shift) > uncertainty_loss(losses, logs.detach())


def test_uncertainty_trains_its_weights_with_the_network() -> None:
    network, inputs, labels = network_and_batch()
    labels[:, 1] = -1
    balance, losses = run("uncertainty", network, inputs, labels)
    expected = 0.5 - losses  # the derivative at sigma = 1
    expected[1] = 0  # no label, no opinion
    torch.testing.assert_close(balance.weights.grad, expected)


@pytest.mark.parametrize("alpha", [0.12, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_gradnorm_gradient_is_that_of_its_loss(alpha: float, seed: int) -> None:
    """Against automatic differentiation through the gradient norms of a network, targets held constant."""
    network, inputs, labels = network_and_batch(seed=seed)
    losses, _ = task_losses(network(inputs), labels)
    generator = torch.Generator().manual_seed(seed)
    first = losses.detach() * (0.5 + torch.rand(3, generator=generator, dtype=torch.float64))
    weights = (0.5 + torch.rand(3, generator=generator, dtype=torch.float64)).requires_grad_()
    last = network.last_shared()
    sizes = []
    for weight, loss in zip(weights, losses, strict=True):
        (gradient,) = torch.autograd.grad(weight * loss, last, create_graph=True)
        sizes.append(gradient.square().sum().sqrt())
    mean = sum(size.item() for size in sizes) / 3
    ratios = [loss.item() / start.item() for loss, start in zip(losses, first, strict=True)]
    total = 0
    for size, ratio in zip(sizes, ratios, strict=True):
        total = total + abs(size - mean * (ratio / (sum(ratios) / 3)) ** alpha)
    (expected,) = torch.autograd.grad(total, weights)
    norms = torch.stack([size.detach() for size in sizes]) / weights.detach()
    found = gradnorm_gradient(weights.detach(), norms, losses.detach() / first, alpha)
    torch.testing.assert_close(found, expected)


def test_gradnorm_moves_its_weights_and_keeps_their_sum() -> None:
    network, inputs, labels = network_and_batch()
    balance, losses = run("gradnorm", network, inputs, labels, learning_rate=0.1)
    assert float(balance.weights.sum()) == pytest.approx(3)
    torch.testing.assert_close(balance.first, losses)
    norms = []
    for loss in task_losses(network(inputs), labels)[0]:
        norms.append(float(torch.autograd.grad(loss, network.last_shared(), retain_graph=True)[0].norm()))
    moved = [1 - 0.1 * math.copysign(norm, norm - sum(norms) / 3) for norm in norms]
    expected = torch.tensor([3 * weight / sum(moved) for weight in moved], dtype=torch.float64)
    torch.testing.assert_close(balance.weights, expected)


def test_gradnorm_leaves_out_a_label_set_without_labels() -> None:
    network, inputs, labels = network_and_batch()
    labels[:, 2] = -1
    balance, _ = run("gradnorm", network, inputs, labels)
    assert balance.first.isnan().tolist() == [False, False, True]
    assert balance.weights.isfinite().all()
    assert network.heads[2].weight.grad.abs().sum() == 0


def test_gradnorm_evens_the_norms() -> None:
    """With equal training rates the weighted gradients end at one size."""
    norms = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    weights, ratios = torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    for _ in range(4_000):
        weights = weights - 2e-4 * gradnorm_gradient(weights, norms, ratios, 1.5)
        weights = 3 * weights / weights.sum()
    sizes = weights * norms
    assert float(sizes.max() / sizes.min()) < 1.02


def pcgrad_by_hand(rows: list[list[float]], orders: list[list[int]]) -> list[list[float]]:
    found = []
    for i, order in enumerate(orders):
        own = list(rows[i])
        for j in order:
            if j == i:
                continue
            dot = sum(a * b for a, b in zip(own, rows[j], strict=True))
            if dot < 0:
                square = sum(b * b for b in rows[j])
                own = [a - dot / square * b for a, b in zip(own, rows[j], strict=True)]
        found.append(own)
    return found


@pytest.mark.parametrize("tasks", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_pcgrad_by_hand(tasks: int, seed: int) -> None:
    rows = torch.randn(tasks, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    draws = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(tasks, generator=draws).tolist() for _ in range(tasks)]
    expected = torch.tensor(pcgrad_by_hand(rows.tolist(), orders), dtype=torch.float64)
    found = project_conflicts(rows, torch.Generator().manual_seed(seed))
    torch.testing.assert_close(found, expected)


def test_pcgrad_of_two_vectors() -> None:
    """(1, 0) and (-1, 1) conflict; each loses what points against the other."""
    given = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    found = project_conflicts(given, torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5], [0.0, 1.0]]))
    assert torch.equal(given, torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))
    friends = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert torch.equal(project_conflicts(friends, torch.Generator()), friends)


def test_pcgrad_leaves_every_head_its_own_gradient() -> None:
    network, inputs, labels = network_and_batch()
    run("equal", network, inputs, labels)
    equal = gradients(network)
    shared = len(network.shared())
    run("pcgrad", network, inputs, labels)
    for one, other in zip(gradients(network)[shared:], equal[shared:], strict=True):
        torch.testing.assert_close(one, other)
    losses, _ = task_losses(network(inputs), labels)
    flat = [
        torch.cat([part.flatten() for part in torch.autograd.grad(loss, network.shared(), retain_graph=True)])
        for loss in losses
    ]
    expected = project_conflicts(torch.stack(flat), PCGrad().start(3).generator).sum(0)
    found = torch.cat([parameter.grad.flatten() for parameter in network.shared()])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["equal", "uncertainty", "gradnorm", "pcgrad"])
def test_one_label_set_alone_is_plain_training(name: str) -> None:
    network, inputs, labels = network_and_batch(tasks=1)
    run("equal", network, inputs, labels)
    plain = gradients(network)
    run(name, network, inputs, labels)
    for one, other in zip(gradients(network), plain, strict=True):
        torch.testing.assert_close(one, other)
