"""MAML, CAVIA and a pretrained network on sine waves: the error by gradient step (Finn et al. 2017, section 5.1).

    python scripts/train_sinusoid.py

trains the three at the same time (about half an hour on two cores) and writes what it found as JSON, and the plot of
that. It is fastest with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import torch
from torch import Tensor, nn

from fewshot.files import read_json, whole_file, write_json
from fewshot.learners.meta import Tasks
from fewshot.learners.meta.gradient import CAVIA, MAML, GradientLearner
from fewshot.learners.meta.sinusoid import WIDTH, Sinusoids, sinusoid_backbone
from fewshot.metrics import accuracy_interval
from fewshot.provenance import provenance

ROOT = Path(__file__).parent.parent
STEPS, EVALUATION_TASKS, CHUNK = 10, 600, 500
RATE = 1e-3  # Adam's
LEARNERS: dict[str, GradientLearner] = {
    "MAML": MAML(inner_rate=0.01, evaluation_steps=1),
    "CAVIA": CAVIA(inner_rate=1.0, inner_steps=1, evaluation_steps=1, context=5),
    "pretrained on all tasks": MAML(inner_rate=0.02, evaluation_steps=1),  # the paper's rate for this baseline
}


@click.command()
@click.option("--iterations", default=70_000, show_default=True, help="Steps of Adam.")
@click.option("--tasks", default=25, show_default=True, help="Tasks a step.")
@click.option("--shots", default=10, show_default=True, help="Points of a task, in the support and in the query.")
@click.option("--seed", default=0, show_default=True, help="Of the first weights and the tasks.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "benchmarks" / "findings" / "sinusoid.json")
@click.option("--plot", type=click.Path(path_type=Path), default=ROOT / "docs" / "sinusoid.png")
@click.option("--plot-only", is_flag=True, help="Draw the file that is there.")
def main(iterations: int, tasks: int, shots: int, seed: int, out: Path, plot: Path, plot_only: bool) -> None:
    """Train the three, write OUT and draw PLOT."""
    if not plot_only:
        sinusoids = Sinusoids(shots, shots, seed)
        with ProcessPoolExecutor(len(LEARNERS)) as pool:
            running = {name: pool.submit(compare, name, sinusoids, iterations, tasks) for name in LEARNERS}
            found = {name: each.result() for name, each in running.items()}
        work = f"sinusoid regression, {shots} shots, {EVALUATION_TASKS} tasks, seed {seed}"
        training = {"iterations": iterations, "tasks": tasks, "optimiser": "adam", "rate": RATE}
        write_json(out, {"work": work, "training": training, "found": found, "provenance": provenance()})
    with whole_file(plot) as beside:
        draw(read_json(out), beside)


def compare(name: str, sinusoids: Sinusoids, iterations: int, tasks: int) -> dict[str, Any]:
    """Train one of `LEARNERS` and measure it on tasks of another seed, with 100 queries each."""
    learner = LEARNERS[name]
    torch.manual_seed(sinusoids.seed)
    model = learner.model(sinusoid_backbone(), WIDTH, 1)
    test = replace(sinusoids, queries=100, seed=sinusoids.seed + 1).sample(EVALUATION_TASKS)
    backward = pretraining if name.startswith("pretrained") else learner.backward
    started, curve = perf_counter(), {}
    for iteration in train(backward, model, sinusoids, iterations, tasks):
        curve[iteration] = round(float(squared_errors(learner, model, test, 1).mean()), 4)
        click.echo(f"{name:<24} iteration {iteration:>6}, error after one step {curve[iteration]:.3f}")
    seconds = perf_counter() - started
    steps = [accuracy_interval(squared_errors(learner, model, test, steps)) for steps in range(STEPS + 1)]
    return {
        "learner": {"name": learner.name, "settings": asdict(learner)},
        "seconds": round(seconds),
        "mean_squared_error": [each.mean for each in steps],
        "ci95": [each.half_width for each in steps],
        "after_one_step_while_training": curve,
    }


def train(
    backward: Callable[[nn.Module, Tasks, float], Any],
    model: nn.Module,
    sinusoids: Sinusoids,
    iterations: int,
    tasks: int,
) -> Iterator[int]:
    """Steps of Adam on new tasks each; yields the iteration ten times on the way."""
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    for iteration in range(iterations):
        place = iteration % CHUNK * tasks
        if place == 0:
            drawn = sinusoids.sample(CHUNK * tasks, iteration * tasks)
        optimiser.zero_grad()
        backward(model.train(), drawn[place : place + tasks], iteration / iterations)
        optimiser.step()
        if (iteration + 1) % max(1, iterations // 10) == 0:
            yield iteration + 1


def pretraining(model: nn.Module, tasks: Tasks, progress: float) -> None:
    """The gradient of the squared error on all points of all tasks, without adaptation."""
    inputs = torch.cat([tasks.support, tasks.query], 1)
    labels = torch.cat([tasks.support_labels, tasks.query_labels], 1)
    (model(inputs) - labels).square().mean().backward()


def squared_errors(learner: GradientLearner, model: nn.Module, tasks: Tasks, steps: int) -> Tensor:
    """The mean squared error (T,) of each task's queries after `steps` steps."""
    predicted = replace(learner, evaluation_steps=steps).logits(model.eval(), tasks)
    return (predicted - tasks.query_labels).square().mean((1, 2))


def draw(content: dict[str, Any], path: Path) -> None:
    """Error by gradient step, with 95 % intervals, on a logarithmic axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, found in content["found"].items():
        errors = found["mean_squared_error"]
        axes.errorbar(range(len(errors)), errors, found["ci95"], marker="o", ms=4, capsize=2, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("gradient steps on the support")
    axes.set_ylabel("mean squared error of the queries")
    axes.set_title(content["work"], fontsize="medium")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120, format="png")


if __name__ == "__main__":
    main()
