"""Every engine against plain code of this file, against each other, and against finite differences, in float64."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from fewshot.backbones.networks.conv4 import Conv4, StridedConv4
from fewshot.errors import InvalidInput
from fewshot.learners.meta import Tasks
from fewshot.learners.meta.engines.batched import BatchedEngine
from fewshot.learners.meta.engines.choice import IMAGES_AT_ONCE, choose_engine, tasks_at_once
from fewshot.learners.meta.engines.compiled import CompiledEngine, compiler
from fewshot.learners.meta.engines.engine import Engine
from fewshot.learners.meta.engines.learn2learn import Learn2LearnEngine
from fewshot.learners.meta.engines.loop import LoopEngine
from fewshot.learners.meta.gradient.inner_loop import InnerLoop
from fewshot.learners.meta.gradient.model import GradientModel

WAYS = 3


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def conv4() -> tuple[nn.Module, int]:
    return Conv4((4, 5, 4, 6), image_channels=2), 6


def strided() -> tuple[nn.Module, int]:
    return StridedConv4(5, image_channels=2), 5


def without_norm() -> tuple[nn.Module, int]:
    first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(4))
    last = nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, groups=2), nn.AvgPool2d(3), nn.Identity(), nn.Flatten())
    return nn.Sequential(first, last), 4


def relu_before_pool() -> tuple[nn.Module, int]:
    block = nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten()
    return nn.Sequential(*block, nn.Linear(144, 5), nn.BatchNorm1d(5), nn.Tanh()), 5


def overlapping_pool() -> tuple[nn.Module, int]:
    block = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4, affine=False), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Flatten()
    return nn.Sequential(*block, nn.Linear(676, 5)), 5


NETWORKS = [conv4, strided, without_norm, relu_before_pool, overlapping_pool]
Made = Callable[[], tuple[nn.Module, int]]


def made(network: Made, mode: str = "transductive", steps: int = 2) -> GradientModel:
    backbone, dim = network()
    model = GradientModel(backbone, dim, WAYS, mode, steps)
    for parameter in model.parameters():  # negative weights of batch norm, too
        parameter.data += 0.5 * torch.randn_like(parameter)
    for name, parameter in model.named_parameters():
        if name.endswith("1.weight") and parameter.ndim == 1:
            parameter.data[::2] *= -1
    return model.train()


def drawn(tasks: int = 3, support: int = 5, queries: int = 6, size: int = 28) -> Tasks:
    labels = [torch.arange(count).remainder(WAYS).expand(tasks, count) for count in (support, queries)]
    images = [torch.randn(tasks, count, 2, size, size) for count in (support, queries)]
    return Tasks(images[0], labels[0], images[1], labels[1], WAYS)


def rates(model: nn.Module, start: str = "") -> dict[str, float | Tensor]:
    return {name: 0.1 for name, _ in model.named_parameters() if name.startswith(start)}


def plain_gradient(model: nn.Module, tasks: Tasks, rate: float, steps: int, first_order: bool, start: str) -> dict:
    """MAML for one task after another, as algorithm 2 says."""
    weights = dict(model.named_parameters())
    total = torch.zeros(())
    for task in range(len(tasks)):
        fast = dict(weights)
        for _ in range(steps):
            loss = cross_entropy(functional_call(model, fast, (tasks.support[task],)), tasks.support_labels[task])
            names = [name for name in fast if name.startswith(start)]
            found = torch.autograd.grad(loss, [fast[name] for name in names], create_graph=not first_order)
            fast = {**fast, **{name: fast[name] - rate * each for name, each in zip(names, found, strict=True)}}
        logits = functional_call(model, fast, (tasks.query[task],))
        total = total + cross_entropy(logits, tasks.query_labels[task]) / len(tasks)
    return dict(zip(weights, torch.autograd.grad(total, list(weights.values())), strict=True))


def gradient(engine: Engine, model: nn.Module, tasks: Tasks, loop: InnerLoop) -> dict[str, Tensor]:
    model.zero_grad()
    engine.backward(model, tasks, loop)
    return {
        name: torch.zeros_like(each) if each.grad is None else each.grad.clone()
        for name, each in model.named_parameters()
    }


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert any(each.abs().max() > 1e-3 for each in expected.values())
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-10, atol=1e-10, msg=lambda text, name=name: name + text)


LEARN2LEARN = pytest.param(
    Learn2LearnEngine(), marks=pytest.mark.skipif(find_spec("learn2learn") is None, reason="needs learn2learn")
)
ENGINES = [
    LoopEngine(),
    BatchedEngine(1),
    BatchedEngine(2),
    BatchedEngine(8),
    BatchedEngine(3, images_at_once=12),  # two tasks a pass with the queries, all with the support
    LEARN2LEARN,
]


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_engine_gives_the_meta_gradient(engine: Engine, network: Made, first_order: bool) -> None:
    model, tasks = made(network), drawn()
    loop = InnerLoop([rates(model)] * 2, first_order)
    assert_same(gradient(engine, model, tasks, loop), plain_gradient(model, tasks, 0.1, 2, first_order, ""))


@pytest.mark.parametrize("start", ["head.", "backbone."])
@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("engine", [LoopEngine(), BatchedEngine(2)], ids=["loop", "batched"])
def test_part_of_the_parameters_adapts(engine: Engine, memory: str, start: str) -> None:
    model, tasks = made(conv4), drawn()
    loop = InnerLoop([rates(model, start)] * 2, memory=memory, head_only=start == "head.")
    assert_same(gradient(engine, model, tasks, loop), plain_gradient(model, tasks, 0.1, 2, False, start))


@pytest.mark.parametrize("network", [conv4, without_norm])
@pytest.mark.parametrize(
    "engine",
    [
        LoopEngine(),
        BatchedEngine(2),
        LEARN2LEARN,
        pytest.param(CompiledEngine(), marks=pytest.mark.slow),
    ],
    ids=lambda engine: engine.name,
)
def test_gradient_agrees_with_finite_differences(engine: Engine, network: Made) -> None:
    model, tasks = made(network), drawn()
    loop = InnerLoop([rates(model)] * 2)
    found = gradient(engine, model, tasks, loop)
    for name, parameter in model.named_parameters():
        direction, step = torch.randn_like(parameter), 1e-6
        values = parameter.data.clone()
        losses = []
        for sign in (1, -1):
            parameter.data = values + sign * step * direction
            losses.append(engine.backward(model, tasks, loop).loss)
        parameter.data = values
        slope = (losses[0] - losses[1]) / (2 * step)
        torch.testing.assert_close((found[name] * direction).sum(), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("engine", [LoopEngine(), BatchedEngine(2)], ids=["loop", "batched"])
def test_learned_rates_get_their_gradient(engine: Engine, memory: str) -> None:
    model, tasks = made(conv4), drawn()
    learned = {name: nn.Parameter(torch.full_like(each, 0.1)) for name, each in model.named_parameters()}
    engine.backward(model, tasks, InnerLoop([learned], memory=memory))
    name = "backbone.block2.0.weight"
    direction, losses = torch.randn_like(learned[name]), []
    for sign in (1, -1):
        shifted = {**learned, name: (learned[name] + sign * 1e-6 * direction).detach()}
        losses.append(engine.backward(model, tasks, InnerLoop([shifted])).loss)
    slope = (losses[0] - losses[1]) / 2e-6
    torch.testing.assert_close((learned[name].grad * direction).sum(), slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("engine", [LoopEngine, BatchedEngine])
def test_steps_computed_twice_are_so_in_the_same_precision(engine: type[Engine]) -> None:
    torch.set_default_dtype(torch.float32)
    model, tasks = made(conv4), drawn()
    full, low = (
        gradient(engine(2, "bfloat16"), model, tasks, InnerLoop([rates(model)] * 2, memory=memory))
        for memory in ("full", "low")
    )
    for name, each in full.items():
        torch.testing.assert_close(low[name], each, rtol=1e-6, atol=1e-7, msg=name)


@pytest.mark.parametrize("mode", ["running", "per-step"])
def test_running_averages_agree_for_one_task(mode: str) -> None:
    model, tasks, states = made(conv4, mode), drawn(1), []
    start = {name: each.clone() for name, each in model.state_dict().items()}
    affine = {name for name, each in model.named_parameters() if ".1." in name}
    adapting = {name: 0.1 for name in rates(model) if name not in affine}
    from fewshot.learners.meta.gradient.batch_norm import per_step_names

    for memory in ("full", "low"):
        for engine in (LoopEngine(), BatchedEngine(2)):
            model.load_state_dict(start)
            engine.backward(model, tasks, InnerLoop([adapting] * 2, memory=memory, per_step=per_step_names(model)))
            states.append({name: each.clone() for name, each in model.named_buffers()})
    assert any((states[0][name] - start[name]).abs().max() > 1e-3 for name in states[0])
    for state in states[1:]:
        for name, each in states[0].items():
            torch.testing.assert_close(state[name], each, rtol=1e-10, atol=1e-10, msg=name)


def test_running_averages_of_tasks_are_those_of_one_after_another() -> None:
    model, tasks = made(conv4, "running"), drawn(3)
    loop, start = InnerLoop([]), {name: each.clone() for name, each in model.named_buffers()}
    one_pass = Tasks(tasks.support, tasks.support_labels, tasks.query, tasks.query_labels, WAYS)
    states = []
    for engine in (LoopEngine(), BatchedEngine(3)):
        for name, each in model.named_buffers():
            each.copy_(start[name])
        engine.backward(model, one_pass, loop)
        states.append({name: each.clone() for name, each in model.named_buffers()})
    for name, each in states[0].items():
        torch.testing.assert_close(states[1][name], each, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", ["transductive", "running"])
@pytest.mark.parametrize("training", [True, False])
def test_logits_agree_and_keep_no_graph(mode: str, training: bool) -> None:
    model, tasks = made(conv4, mode).train(training), drawn()
    loop = InnerLoop([rates(model)] * 3)
    logits = [engine.logits(model, tasks, loop) for engine in (LoopEngine(), BatchedEngine(2))]
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-10, atol=1e-10)
    assert logits[0].shape == (3, 6, WAYS)
    assert not any(each.requires_grad for each in logits)
    assert all(parameter.grad is None for parameter in model.parameters())


class Residual(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + 1


def test_a_network_that_cannot_be_folded_is_refused_by_name_and_auto_falls_back() -> None:
    model = GradientModel(nn.Sequential(nn.Flatten(), Residual()), 1568, WAYS, "transductive", 1)
    with pytest.raises(InvalidInput, match=r"'batched' cannot run Residual \(backbone.1\).*use engine='loop'"):
        choose_engine("batched", model, drawn())
    chosen = choose_engine("auto", model, drawn())
    assert chosen == LoopEngine()
    assert "Residual (backbone.1)" in chosen.reason


def test_padding_that_is_not_zeros_is_refused() -> None:
    backbone = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), nn.Flatten())
    with pytest.raises(InvalidInput, match="padding_mode='reflect'"):
        BatchedEngine().network(GradientModel(backbone, 2352, WAYS, "transductive", 1))


@pytest.mark.parametrize(("support", "queries", "expected"), [(5, 5, 8), (5, 75, 4), (25, 200, 1)])
def test_tasks_at_once_fit_the_cache(support: int, queries: int, expected: int) -> None:
    tasks = drawn(8, support, queries, size=1)
    assert tasks_at_once(tasks) == expected
    chosen = choose_engine("auto", made(conv4), tasks)
    assert chosen == BatchedEngine(expected, images_at_once=IMAGES_AT_ONCE)
    assert f"batched on cpu, {expected} task{'s' if expected > 1 else ''} at once" in chosen.reason
    assert "batched on cpu, 1 task at once" in choose_engine("auto", made(conv4), tasks[:1]).reason


def test_tasks_at_once_count_the_batch_of_a_step() -> None:
    tasks = drawn(2, 50, 5, size=1)
    assert tasks_at_once(tasks) == 3
    assert tasks_at_once(tasks, batch=10) == 8
    assert tasks_at_once(tasks, batch=100) == 3
    assert choose_engine("auto", made(conv4), tasks, batch=10).tasks_at_once == 8


@pytest.mark.parametrize("engine", [LoopEngine, BatchedEngine])
def test_bfloat16_is_near_float32(engine: type[Engine]) -> None:
    torch.set_default_dtype(torch.float32)
    model, tasks = made(conv4), drawn()
    loop = InnerLoop([rates(model)])
    exact, rounded = (engine(2, precision).backward(model, tasks, loop).loss for precision in ("float32", "bfloat16"))
    assert 0 < (exact - rounded).abs() < 0.05 * exact
    assert all(each.grad is None or each.grad.dtype == torch.float32 for each in model.parameters())


@pytest.mark.parametrize("kind", [LoopEngine, BatchedEngine])
def test_the_precision_of_a_training_is_that_of_its_engine(kind: type[Engine]) -> None:
    torch.set_default_dtype(torch.float32)
    model, tasks = made(conv4), drawn()
    loop = InnerLoop([rates(model)])
    asked = gradient(kind(2, "bfloat16"), model, tasks, loop)
    with torch.autocast("cpu", torch.bfloat16):
        around = gradient(kind(2), model, tasks, loop)
    for name, each in asked.items():
        torch.testing.assert_close(around[name], each, rtol=0, atol=0)


@pytest.mark.parametrize("first_order", [False, True])
def test_the_meta_gradient_in_bfloat16_is_as_near_when_batched_as_in_a_loop(first_order: bool) -> None:
    torch.set_default_dtype(torch.float32)

    model, tasks = made(conv4), drawn()

    def of_weights(engine: Engine) -> Tensor:  # biases that batch norm cancels have no gradient but rounding's
        found = gradient(engine, model, tasks, InnerLoop([rates(model)], first_order))
        return torch.cat([each.flatten() for each in found.values() if each.ndim > 1])

    exact = of_weights(BatchedEngine(2))
    loop, batched = (of_weights(engine(2, "bfloat16")) for engine in (LoopEngine, BatchedEngine))
    near = (batched - exact).norm() / exact.norm()
    assert 1e-4 < near < 1.5 * (loop - exact).norm() / exact.norm()


@pytest.mark.skipif(find_spec("learn2learn") is None, reason="needs learn2learn")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": [{"head.weight": 0.1}]}, "no parameters that do not adapt"),
        ({"memory": "low"}, "no memory='low'"),
        ({"importance": [1.0]}, "no query losses of each step"),
    ],
)
def test_learn2learn_says_what_it_lacks(change: dict, message: str) -> None:
    model = made(conv4)
    with pytest.raises(InvalidInput, match=message):
        Learn2LearnEngine().backward(model, drawn(), InnerLoop(**{"rates": [rates(model)], **change}))


@pytest.mark.skipif(compiler() is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize(
    ("network", "steps", "first_order"),
    [
        (without_norm, 1, False),
        pytest.param(conv4, 1, False, marks=pytest.mark.slow),
        pytest.param(conv4, 2, False, marks=pytest.mark.slow),
        pytest.param(without_norm, 2, True, marks=pytest.mark.slow),
    ],
)
def test_compiled_engine_gives_the_meta_gradient(network: Made, steps: int, first_order: bool) -> None:
    model, tasks = made(network), drawn(2)
    loop = InnerLoop([rates(model)] * steps, first_order)
    expected = plain_gradient(model, tasks, 0.1, steps, first_order, "")
    assert_same(gradient(CompiledEngine(), model, tasks, loop), expected)


def test_compiled_engine_asks_for_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InvalidInput, match="needs a C.. compiler for a CPU, and found none; install g.. or clang"):
        choose_engine("compiled", made(conv4), drawn())


def test_compiled_engine_says_what_it_cannot_run() -> None:
    with pytest.raises(
        InvalidInput, match=r"'compiled' cannot run .* running averages \(backbone.block1.1, 'running'\)"
    ):
        choose_engine("compiled", made(conv4, "running"), drawn())
    model = made(conv4)
    with pytest.raises(InvalidInput, match="'compiled' cannot compute steps twice"):
        CompiledEngine().backward(model, drawn(), InnerLoop([rates(model)], memory="low"))
    with pytest.raises(InvalidInput, match="'compiled' cannot weigh the losses after each step"):
        CompiledEngine().backward(model, drawn(), InnerLoop([rates(model)], importance=[1.0]))
