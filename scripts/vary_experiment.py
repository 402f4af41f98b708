"""One experiment with some of its training or settings changed: what a number that falls short is owed to.

    python scripts/vary_experiment.py anil/raghu2020_omniglot_5way_1shot --steps 2000 --set inner_rate=0.4

trains as `fewshot bench reproduce` does, and tests the model on tasks of the training classes too, so that what lacks
in the fit is told from what lacks in generalisation. The numbers are kept in benchmarks/findings/variations.json, and
a stopped training goes on when the same command is given again.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import click

from fewshot.benchmark.experiments import load_experiment
from fewshot.benchmark.experiments.experiment import Data, Experiment
from fewshot.benchmark.experiments.reproduction import shortened, train
from fewshot.cli.arguments import read_settings
from fewshot.datasets.splits import split_parts
from fewshot.errors import FewshotError
from fewshot.files import read_json, write_json
from fewshot.learners.meta.training.meta_training import MetaTraining

ROOT = Path(__file__).parent.parent
TRAINING = {each.name for each in fields(MetaTraining)}


@click.command()
@click.argument("name", metavar="EXPERIMENT")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Training, learner, backbone, train_split.")
@click.option("--steps", type=int, help="At most so many training steps.")
@click.option("--tasks", "count", type=int, help="At most so many tasks an evaluation.")
@click.option("--keep", type=click.Path(path_type=Path), default=ROOT / "benchmarks" / "findings" / "variations.json")
@click.option("--runs", type=click.Path(path_type=Path), default=ROOT / "experiments" / "variations")
def main(name: str, changes: tuple[str, ...], steps: int | None, count: int | None, keep: Path, runs: Path) -> None:
    """Train EXPERIMENT with the changes, and add what came out to the file."""
    loaded = load_experiment(name)
    if not isinstance(loaded, Experiment):
        raise click.UsageError(f"{name} trains no network")
    told = read_settings(changes)
    experiment = varied(shortened(loaded, steps, count), told)
    told |= {"steps": experiment.training.steps} if steps else {}
    label = ", ".join(f"{key}={value}" for key, value in sorted(told.items())) or "as it is"
    out = runs / name / label.replace(", ", "_").replace("/", "-")
    ours = train(experiment, out)
    data = experiment.data
    others = tuple(replace(each, seed=each.seed + 1) for each in experiment.evaluations)  # none that it was trained on
    of_training = Data(data.train, data.validation, data.train)
    seen = train(replace(experiment, data=of_training, evaluations=others), out)  # only tested again
    found = read_json(keep)["found"] if keep.is_file() else {}
    found.setdefault(name, {})[label] = {
        "training": asdict(experiment.training),
        "settings": dict(experiment.settings),
        "tested": [asdict(result) for result in ours.results],
        "training_classes": [asdict(result) for result in seen.results],
        "best_step": ours.best_step,
        "hours": ours.hours,
        "curve_end": list(ours.curve[-1]),
        "provenance": dict(ours.provenance),
    }
    write_json(keep, {"found": found})
    for heading, results in (("new classes", ours.results), ("training classes", seen.results)):
        told_results = "; ".join(f"{result.percent:.2f} ± {result.ci95:.2f}" for result in results)
        click.echo(f"{name} with {label}, {heading}: {told_results}")


def varied(experiment: Experiment, told: dict[str, Any]) -> Experiment:
    """The experiment with these values of its training, network (`backbone`), `train_split` or else its learner.

    A `train_split` that takes in the validation classes, as train+val does, leaves none to validate on.
    """
    training = {key: value for key, value in told.items() if key in TRAINING}
    if "augmentation" in training:
        training["augmentation"] = tuple(training["augmentation"].split(","))
    settings = {key: value for key, value in told.items() if key not in (*TRAINING, "backbone", "train_split")}
    data = experiment.data
    if "train_split" in told:
        split, validation = told["train_split"], data.validation
        shared = validation and validation.split in split_parts(split)
        data = replace(data, train=replace(data.train, split=split), validation=None if shared else validation)
    return replace(
        experiment,
        data=data,
        training=replace(experiment.training, **training),
        settings={**experiment.settings, **settings},
        backbone=told.get("backbone", experiment.backbone),
        ours=None,
    )


if __name__ == "__main__":
    try:
        main()
    except FewshotError as error:
        click.echo(f"vary_experiment: {error}", err=True)
        sys.exit(2)
