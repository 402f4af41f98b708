"""A meta-step of MAML by fewshot's engines, learn2learn, higher and torchopt: one network, the same tasks, one process.

Run with `uv run --group peers python benchmarks/maml.py --compiled --bf16`; `--help` tells the settings. All must give
the same meta-gradient in float64 before they are timed, with Adam's step, in float32. Ratios are times over
learn2learn's. Freed memory is held for the next step, as fewshot's trainer does, and for all alike. The floor is the
multiplications of the convolutions and of the linear layer at the rate of a large matrix product, measured here in the
same precision.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import product
from time import perf_counter

import click
import torch
from maml_peers import PEERS, Backward, Setting
from timing import keep, side_by_side
from torch import nn

from fewshot.backbones.networks.conv4 import Conv4
from fewshot.learners.memory import hold_all_freed_memory
from fewshot.learners.meta import Tasks, create_meta_learner

WAYS, SHOTS, QUERIES, DIM, SIDE, CHANNELS = 5, 1, 15, 64, 28, 1
TOLERANCE = 1e-8
# positions, and numbers in and out at each, of the four convolutions of 3 by 3 and of the linear layer
LAYERS = [(28**2, 9 * CHANNELS, 64), (14**2, 9 * 64, 64), (7**2, 9 * 64, 64), (3**2, 9 * 64, 64), (1, DIM, WAYS)]


def draw(count: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Tasks:
    """Tasks of random images."""
    labels = torch.arange(WAYS)
    shape = (CHANNELS, SIDE, SIDE)
    generator = torch.Generator().manual_seed(0)
    return Tasks(
        torch.rand(count, WAYS * SHOTS, *shape, generator=generator),
        labels.repeat(count, SHOTS),
        torch.rand(count, WAYS * QUERIES, *shape, generator=generator),
        labels.repeat(count, QUERIES),
        WAYS,
    ).to(device, dtype)


def network() -> nn.Module:
    """Conv4-64 and a linear layer, always with the same weights."""
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(backbone=Conv4(image_channels=CHANNELS), head=nn.Linear(DIM, WAYS)))


def engine(name: str, precision: str = "float32") -> Callable[[Setting], tuple[nn.Module, Backward]]:
    """What makes our model and its backward pass for a setting."""

    def made(setting: Setting) -> tuple[nn.Module, Backward]:
        learner = create_meta_learner(
            "maml",
            inner_rate=setting.rate,
            inner_steps=setting.steps,
            first_order=setting.first_order,
            engine=name,
            precision=precision,
        )
        model, weights = learner.model(Conv4(image_channels=CHANNELS), DIM, WAYS), network().state_dict()
        model.load_state_dict({key: weights[key] for key in model.state_dict()})
        return model, lambda tasks: learner.backward(model, tasks, 0.0)

    return made


def peer(name: str) -> Callable[[Setting], tuple[nn.Module, Backward]]:
    """What makes a peer's model and its backward pass for a setting."""

    def made(setting: Setting) -> tuple[nn.Module, Backward]:
        model = network()
        return model, PEERS[name](model, setting)

    return made


def competitors(compiled: bool, bf16: bool) -> dict[str, Callable[[Setting], tuple[nn.Module, Backward]]]:
    """The peers, and our engines in the precisions asked for."""
    engines = ["loop", "batched"] + ["compiled"] * compiled
    ours = {f"fewshot, {name}": engine(name) for name in engines}
    halved = {f"fewshot, {name}, bf16": engine(name, "bfloat16") for name in engines if bf16}
    return {name: peer(name) for name in PEERS} | ours | halved


def check(
    made: dict[str, Callable[[Setting], tuple[nn.Module, Backward]]], setting: Setting, device: torch.device
) -> None:
    """Stop unless all give learn2learn's meta-gradient in float64; what computes in bfloat16 is left out."""
    wanted: dict[str, torch.Tensor] = {}
    for name, make in made.items():
        if name.endswith("bf16"):
            continue
        model, backward = make(setting)
        model.to(device, torch.float64).train()
        backward(draw(2, device, torch.float64))
        # biases that batch norm cancels have no gradient where that is known to be zero
        gradients = {key: (each, each.grad) for key, each in model.named_parameters()}
        found = {key: torch.zeros_like(each) if grad is None else grad for key, (each, grad) in gradients.items()}
        wanted = wanted or found
        off = max(float((found[key] - wanted[key]).abs().max()) for key in wanted)
        if not off < TOLERANCE:
            raise click.ClickException(f"{name} is {off:.1e} off the meta-gradient of {next(iter(made))}: {setting}")


def meta_step(model: nn.Module, backward: Backward, tasks: Tasks) -> Callable[[], None]:
    """Gradient and Adam's step."""
    device = tasks.support.device
    optimiser = torch.optim.Adam(model.to(device).train().parameters(), 1e-3)

    def step() -> None:
        optimiser.zero_grad()
        backward(tasks)
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def products(setting: Setting) -> int:
    """Multiplications of a task's meta-step.

    A product forward has two backward, for the weights and for the inputs, of which the first layer needs one. Second
    derivatives need the gradient of each of these with respect to both its factors, as far as images are not among
    them: six, and two in the first layer.
    """
    total = 0
    for layer, (positions, inputs, outputs) in enumerate(LAYERS):
        once, again = (2, 2) if layer == 0 else (3, 6)
        support = setting.steps * (once + (0 if setting.first_order else again)) * WAYS * SHOTS
        total += (support + once * WAYS * QUERIES) * positions * inputs * outputs
    return total


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Multiplications a second in a large matrix product."""
    side = 8192 if device.type == "cuda" else 2048
    left, best = torch.rand(side, side, device=device).to(dtype), float("inf")
    for _ in range(10):
        start = perf_counter()
        (left @ left)[0, 0].item()
        best = min(best, perf_counter() - start)
    return side**3 / best


def settings(
    steps: tuple[int, ...], orders: tuple[str, ...], tasks: tuple[int, ...]
) -> Iterator[tuple[str, Setting, int]]:
    for order, count, size in product(orders, steps, tasks):
        plural = "step" if count == 1 else "steps"
        yield f"{order} order, {count} inner {plural}, {size} tasks", Setting(count, order == "first"), size


@click.command()
@click.option("--steps", multiple=True, type=int, default=(1, 5), show_default=True, help="Inner steps.")
@click.option("--orders", multiple=True, type=click.Choice(["first", "second"]), default=("second", "first"))
@click.option("--tasks", multiple=True, type=int, default=(4, 32), show_default=True, help="Tasks a meta-step.")
@click.option("--rounds", default=7, show_default=True, help="Meta-steps timed of each.")
@click.option("--compiled", is_flag=True, help="Also the compiled engine, which compiles once a setting.")
@click.option("--bf16", is_flag=True, help="Also our engines in bfloat16.")
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu", show_default=True)
@click.option("--name", default="maml", show_default=True, help="Name of the file in results/.")
def main(
    steps: tuple[int, ...],
    orders: tuple[str, ...],
    tasks: tuple[int, ...],
    rounds: int,
    compiled: bool,
    bf16: bool,
    device: str,
    name: str,
) -> None:
    """Check the gradients, time the meta-steps, and keep the result."""
    place, made = torch.device(device), competitors(compiled, bf16)
    hold_all_freed_memory()
    rates = {kind: product_rate(place, getattr(torch, kind)) for kind in ("float32", "bfloat16")}
    measurements = {}
    for work, setting, size in settings(steps, orders, tasks):
        check(made, setting, place)
        batch = draw(size, place)
        found = side_by_side({way: meta_step(*make(setting), batch) for way, make in made.items()}, rounds)
        for way, figures in found.items():
            rate = rates["bfloat16" if way.endswith("bf16") else "float32"]
            figures["floor_s"] = size * products(setting) / rate
            figures["per_second"] = 1 / figures["median_s"]
        measurements[work] = found
        print(f"{work}: " + ", ".join(f"{way} {found[way]['ratio']:.2f}" for way in found), flush=True)
    work = f"A meta-step, {WAYS}-way {SHOTS}-shot, {QUERIES} queries a class, Conv4-64 at {SIDE} × {SIDE}, on {device}"
    peers = {each: version(each) for each in PEERS}
    made_by = {} if name == "maml" else {"program": "maml"}
    keep(name, {**made_by, "work": work, "peers": peers, "products_per_s": rates, "measurements": measurements})


if __name__ == "__main__":
    main()
