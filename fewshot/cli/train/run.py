"""`fewshot train METHOD`: from options to a training, and what is told of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import load_images, read_settings
from fewshot.cli.output import print_facts, print_json, told_warnings
from fewshot.learners.meta import create_meta_learner
from fewshot.learners.meta.training.meta_training import MetaTraining

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.learners.meta import MetaLearner

NEXT = """next, in Python:
  import fewshot
  model = fewshot.MetaModel.load("{path}")
  model.export_backbone("backbone.safetensors")"""
TEST = """  model.evaluate(fewshot.load_dataset("{dataset}", split="test"), ways={ways}, shots={shots})"""


def run(
    method: str,
    dataset: str,
    backbone: str,
    out: Path,
    validation: str | None,
    changes: tuple[str, ...],
    pretrained: bool,
    skip_broken: bool,
    device: str,
    workers: int,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train `method` as the options of `fewshot train` say, and say what came of it; engine and looks go to stderr.

    settings: the fields of `MetaTraining`. Under torchrun only the first process tells.
    """
    from fewshot.learners.meta.training.trainer import meta_train

    learner = create_meta_learner(method, **read_settings(changes))
    training = MetaTraining(**settings)
    with told_warnings():
        data, held_out = _load(dataset, validation, skip_broken)
        _tell_start(learner, backbone, data, held_out, out)
        meta_train(
            learner,
            backbone,
            data,
            out,
            training,
            held_out,
            pretrained,
            device,
            workers,
            progress=not as_json,
            told=_tell_row,
            told_engine=_tell_engine,
        )
    if _first_process():
        _summarise(out, data, training, as_json)


def _load(dataset: str, validation: str | None, skip_broken: bool) -> tuple[Dataset, Dataset | None]:
    """The images to train on, and those to validate on if there are."""
    name, _, split = dataset.partition("@")
    known = _known_splits(name)
    split = split or ("train" if "train" in known else "all")
    if validation is None and split == "train" and "val" in known:
        validation = "val"
    data = load_images(name, split, skip_broken=skip_broken)
    if validation in (None, "none"):
        return data, None
    return data, load_images(name, str(validation), skip_broken=skip_broken)


def _tell_start(learner: MetaLearner, backbone: str, data: Dataset, held_out: Dataset | None, out: Path) -> None:
    if not _first_process():
        return
    parts = [f"{len(part)} images, {len(part.class_names)} classes of {part.name} ({part.split})"
             for part in (data, held_out) if part is not None]  # fmt: skip
    told = f"{learner.name} trains {backbone} on {', validates on '.join(parts)}; "
    last = out / "last.safetensors"
    click.echo(told + (f"goes on with {out}" if last.exists() else f"into {out}"), err=True)


def _tell_row(row: dict[str, Any]) -> None:
    told = f"step {row['step']}: loss {row['loss']:.3f}, accuracy {100 * row['accuracy']:.1f} %"
    if row["validation_accuracy"] is not None:
        told += f", validation {100 * row['validation_accuracy']:.2f} ± {100 * row['validation_ci95']:.2f} %"
    _tell(f"{told}, {row['tasks_per_second']:,.0f} tasks/s")


def _tell_engine(engine: str) -> None:
    _tell(f"engine: {engine}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)  # not by click, which would write into the bar rather than above it


def _first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _summarise(out: Path, dataset: Dataset, training: MetaTraining, as_json: bool) -> None:
    from fewshot.learners.meta.training.checkpoint import read_record

    best, last = (read_record(out / f"{name}.safetensors")[0] for name in ("best", "last"))
    ways, shots, queries = training.validation_shape
    accuracy, ci95 = (best.history[-1][f"validation_{name}"] for name in ("accuracy", "ci95"))
    path, tasks, looks = out / "best.safetensors", training.validation_tasks, len(last.history)
    if as_json:
        validation = {"accuracy": accuracy, "ci95": ci95, "tasks": tasks, "looks": looks}
        validation |= {"ways": ways, "shots": shots, "queries": queries}
        print_json(
            {"steps": last.step, "best_step": best.step, "seconds": last.seconds, "checkpoint": str(path)}
            | {"validation": None if accuracy is None else validation}
        )
        return
    facts = {"trained": f"{last.step} steps in {last.seconds:,.0f} s", "kept": f"{path}, after step {best.step}"}
    if accuracy is not None:
        found = f"{100 * accuracy:.2f} ± {100 * ci95:.2f} % in {tasks} tasks, {ways}-way {shots}-shot"
        facts["validation"] = f"{found}; the best of {looks} looks, so new classes may do worse"
    print_facts(facts)
    click.echo(NEXT.format(path=path))
    if "test" in _known_splits(dataset.name):
        click.echo(TEST.format(dataset=dataset.name, ways=ways, shots=shots))


def _known_splits(dataset: str) -> Collection[str]:
    from fewshot.datasets import describe_dataset, list_datasets

    return describe_dataset(dataset)["splits"] if dataset in list_datasets() else ()
