"""MAML and its family by themselves: what adapts, the settings, evaluation, learning, and what is refused."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from fewshot.errors import InvalidInput
from fewshot.learners.meta import Tasks, create_meta_learner, list_meta_learners
from fewshot.learners.meta.gradient import GradientLearner
from fewshot.learners.meta.gradient.batch_norm import TaskBatchNorm
from fewshot.learners.meta.gradient.reptile_steps import batches

NAMES = ["maml", "fomaml", "anil", "boil", "meta-sgd", "reptile"]
MODES = ["transductive", "running", "per-step"]
WAYS = 3


def backbone() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(16, 6)
    )


def drawn(tasks: int = 4, shots: int = 2, queries: int = 3) -> Tasks:
    """Classes differ by the brightness of a corner, at random."""
    centres = 2 * torch.randn(tasks, WAYS, 1, 1, 8, 8)
    images = [centres + 0.3 * torch.randn(tasks, WAYS, count, 1, 8, 8) for count in (shots, queries)]
    labels = [torch.arange(WAYS).repeat_interleave(count).expand(tasks, -1) for count in (shots, queries)]
    return Tasks(images[0].flatten(1, 2), labels[0], images[1].flatten(1, 2), labels[1], WAYS)


def test_all_are_registered_with_their_paper() -> None:
    assert set(NAMES) <= set(list_meta_learners())
    for name in NAMES:
        facts = create_meta_learner(name).facts()
        assert "arXiv" in facts["paper"]
        assert facts["fixed_ways"]
        assert facts["settings"]["batch_norm"] == "transductive"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("maml", {"inner_rate": 0.4, "inner_steps": 1, "evaluation_steps": 3, "first_order": False}),
        ("fomaml", {"inner_rate": 0.4, "inner_steps": 1, "evaluation_steps": 3, "first_order": True}),
        ("reptile", {"inner_rate": 0.001, "inner_steps": 5, "evaluation_steps": 50, "batch": 10}),
        ("meta-sgd", {"inner_rate": 0.1, "smallest_rate": 0.005, "inner_steps": 1, "evaluation_steps": 1}),
    ],
)
def test_defaults_are_the_papers(name: str, expected: dict) -> None:
    settings = create_meta_learner(name).facts()["settings"]
    assert {key: settings[key] for key in expected} == expected


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_training_makes_the_loss_small(name: str, mode: str) -> None:
    rate = {"reptile": 0.05, "anil": 0.4}.get(name, 0.1)
    learner = create_meta_learner(name, batch_norm=mode, inner_rate=rate, inner_steps=3)
    model, losses, tasks = learner.model(backbone(), 6, WAYS), [], drawn()
    outer = torch.optim.SGD if name == "reptile" else torch.optim.Adam
    optimizer = outer(model.parameters(), 1.0 if name == "reptile" else 0.03)
    for _ in range(30):
        optimizer.zero_grad()
        outcome = learner.backward(model.train(), tasks, 0.0)
        optimizer.step()
        losses.append(outcome.loss)
        assert outcome.logits.shape == (4, 9, WAYS)
        assert not outcome.loss.requires_grad
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_keeps_no_graph_and_changes_nothing(name: str) -> None:
    learner = create_meta_learner(name, batch_norm="running")
    model = learner.model(backbone(), 6, WAYS).eval()
    before = {key: each.clone() for key, each in model.state_dict().items()}
    tasks = drawn()
    logits = learner.logits(model, tasks)
    assert not logits.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    for key, each in model.state_dict().items():
        torch.testing.assert_close(each, before[key], rtol=0, atol=0)
    hidden = Tasks(tasks.support, tasks.support_labels, tasks.query, 0 * tasks.query_labels, WAYS)
    torch.testing.assert_close(learner.logits(model, hidden), logits, rtol=0, atol=0)


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_evaluation_holds_no_more_memory_for_more_steps(engine: str) -> None:
    few, many = (
        most_kept(
            lambda learner, model: learner.logits(model, drawn(1, shots=20)), evaluation_steps=steps, engine=engine
        )
        for steps in (1, 6)
    )
    assert 0 < many <= 1.2 * few


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_low_memory_holds_little_more_for_more_steps(engine: str) -> None:
    grown = {}
    for memory in ("full", "low"):
        few, many = (
            most_kept(
                lambda learner, model: learner.backward(model, drawn(1, shots=20), 0.0),
                inner_steps=steps, engine=engine, memory=memory,
            )
            for steps in (2, 12)
        )  # fmt: skip
        grown[memory] = many - few
    assert 0 < grown["low"] < grown["full"] / 5


def most_kept(run: Callable[[GradientLearner, nn.Module], object], **settings: object) -> int:
    """The most numbers that are kept for gradients at a time."""
    learner = create_meta_learner("maml", **settings)
    model, alive = learner.model(backbone(), 6, WAYS), [0, 0]
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: Kept(tensor, alive), lambda kept: kept.tensor):
        run(learner, model)
    return alive[1]


class Kept:
    """A tensor kept for a gradient, whose numbers count while it lives."""

    def __init__(self, tensor: Tensor, alive: list[int]) -> None:
        self.tensor, self.alive = tensor, alive
        alive[0] += tensor.numel()
        alive[1] = max(alive)

    def __del__(self) -> None:
        self.alive[0] -= self.tensor.numel()


@pytest.mark.parametrize("name", ["reptile", "imaml"])
@pytest.mark.parametrize("engine", ["compiled", "learn2learn"])
def test_steps_of_its_own_are_run_by_engines_that_can(name: str, engine: str) -> None:
    message = (
        f"{name} has inner steps of its own, which engine '{engine}' cannot run; take engine='auto', 'loop', 'batched'"
    )
    with pytest.raises(InvalidInput, match=message):
        create_meta_learner(name, engine=engine)


def test_reptile_has_no_second_derivatives() -> None:
    with pytest.raises(InvalidInput, match="reptile has no second derivatives"):
        create_meta_learner("reptile", first_order=False)


def adapted_names(learner: GradientLearner) -> set[str]:
    return set(learner.rates(learner.model(backbone(), 6, WAYS)))


def test_what_adapts() -> None:
    every = {name for name, _ in create_meta_learner("maml").model(backbone(), 6, WAYS).named_parameters()}
    head = {"head.weight", "head.bias"}
    assert adapted_names(create_meta_learner("maml")) == every
    assert adapted_names(create_meta_learner("anil")) == head
    assert adapted_names(create_meta_learner("boil")) == every - head
    assert adapted_names(create_meta_learner("meta-sgd")) == every
    norm = {"backbone.1.weight", "backbone.1.bias"}
    assert adapted_names(create_meta_learner("maml", batch_norm="per-step")) == every - norm


def test_meta_sgd_rates_are_saved_and_learned() -> None:
    learner = create_meta_learner("meta-sgd")
    model = learner.model(backbone(), 6, WAYS)
    rate = model.state_dict()["rates.backbone-0-weight"]
    assert rate.shape == (4, 1, 3, 3)
    assert rate.min() >= 0.005
    assert rate.max() <= 0.1
    assert rate.std() > 0.01
    learner.backward(model, drawn(), 0.0)
    assert model.rates["head-weight"].grad.abs().max() > 0


@pytest.mark.parametrize("mode", MODES)
def test_batch_norm_modes(mode: str) -> None:
    model = create_meta_learner("maml", batch_norm=mode, inner_steps=3).model(backbone(), 6, WAYS)
    norm, images = model.backbone[1], torch.randn(5, 4, 2, 2)
    assert isinstance(norm, TaskBatchNorm)
    state = model.state_dict()
    assert ("backbone.1.running_mean" in state) == (mode != "transductive")
    assert state["backbone.1.weight"].shape == ((3, 4) if mode == "per-step" else (4,))
    if mode == "per-step":
        return
    at_hand = nn.BatchNorm2d(4)(images)
    torch.testing.assert_close(norm.train()(images), at_hand)
    averaged = nn.BatchNorm2d(4)
    averaged(images)
    torch.testing.assert_close(norm.eval()(images), at_hand if mode == "transductive" else averaged.eval()(images))


def test_reptile_moves_towards_the_adapted_weights() -> None:
    """One step from zero moments: Adam moves each number by the rate, against its gradient's sign."""
    learner = create_meta_learner("reptile", inner_steps=1, batch=100, inner_rate=0.01)
    model, tasks = learner.model(backbone(), 6, WAYS).double(), drawn(2).to(dtype=torch.float64)
    learner.backward(model, tasks, 0.0)
    expected = torch.zeros_like(model.head.weight)
    for task in range(2):
        loss = nn.functional.cross_entropy(model(tasks.support[task]), tasks.support_labels[task])
        expected += 0.01 * torch.autograd.grad(loss, model.head.weight)[0].sign() / 2
    torch.testing.assert_close(model.head.weight.grad, expected, rtol=1e-3, atol=1e-6)
    assert model.state_dict()["moments.steps"] == 1
    assert model.state_dict()["moments.head-weight"].abs().max() > 0


@pytest.mark.parametrize("engine", ["loop", "batched"])
def test_reptile_steps_are_those_of_torch_adam(engine: str) -> None:
    """Over two meta-steps, so that the second moments live on, and three tasks, which share what moments they found."""
    learner = create_meta_learner("reptile", inner_steps=3, batch=4, inner_rate=0.01, engine=engine)
    model, tasks = learner.model(backbone(), 6, WAYS).double(), drawn(3, shots=3).to(dtype=torch.float64)
    squares = [torch.zeros_like(each) for each in model.parameters()]
    for counted in (0, 3):
        gradients, found = [torch.zeros_like(each) for each in squares], [torch.zeros_like(each) for each in squares]
        for task in range(3):
            alone = deepcopy(model)
            adam = torch.optim.Adam(alone.parameters(), 0.01, betas=(0.0, 0.999), eps=1e-8)
            for parameter, square in zip(alone.parameters(), squares, strict=True):
                zeros = torch.zeros_like(square)
                adam.state[parameter] = {
                    "step": torch.tensor(float(counted)),
                    "exp_avg": zeros,
                    "exp_avg_sq": square.clone(),
                }
            for items in batches(9, steps=3, batch=4, seed=counted):
                adam.zero_grad()
                support, labels = tasks.support[task, items], tasks.support_labels[task, items]
                nn.functional.cross_entropy(alone(support), labels).backward()
                adam.step()
            for i, (first, last) in enumerate(zip(model.parameters(), alone.parameters(), strict=True)):
                gradients[i] += (first - last).detach() / 3
                found[i] += adam.state[last]["exp_avg_sq"] / 3
        squares = found
        model.zero_grad()
        learner.backward(model, tasks, 0.0)
        for parameter, expected in zip(model.parameters(), gradients, strict=True):
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-6, atol=1e-9)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= parameter.grad


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("maml", {"inner_rate": 0.0}, "maml: inner_rate must be above zero, found 0.0"),
        ("maml", {"inner_steps": 0}, "maml: inner_steps must be 1 or more, found 0"),
        ("maml", {"evaluation_steps": -1}, "maml: evaluation_steps must be 0 or more, found -1"),
        ("maml", {"engine": "vmap"}, "maml: engine must be 'auto' or 'loop' or .*found 'vmap'"),
        ("maml", {"batch_norm": "frozen"}, "maml: batch_norm must be 'transductive' or .*found 'frozen'"),
        ("reptile", {"batch": 0}, "reptile: batch must be above zero, found 0"),
        ("meta-sgd", {"smallest_rate": 0.2}, "meta-sgd: smallest_rate must be between 0 and inner_rate=0.1, found 0.2"),
    ],
)
def test_settings_that_cannot_be(name: str, settings: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        create_meta_learner(name, **settings)
