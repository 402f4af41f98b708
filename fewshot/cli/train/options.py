"""The options of `fewshot train METHOD`: every setting of a training, by section of the help."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import click

from fewshot.learners.meta.training.meta_training import MetaTraining

# every field of MetaTraining, by the section of the help that it stands in
SETTINGS = {
    "Training tasks": {
        "ways": "Classes of a task.",
        "shots": "Support images a class.",
        "queries": "Queries a class.",
        "tasks": "Tasks a step, over all processes.",
        "batch": "Images a step, for methods that train on labelled batches.",
        "rotations": "Images turned by 90, 180 and 270 degrees are classes of their own, in training.",
        "augmentation": "crop, flip or jitter; repeatable.",
        "within": "Keep each training task within one group, such as alphabet.",
    },
    "Optimisation": {
        "steps": "Steps of the optimiser.",
        "optimizer": "How gradients become steps.",
        "learning_rate": "At the first step.",
        "momentum": "Of sgd.",
        "weight_decay": "Of the weights, a step.",
        "schedule": "How the rate falls.",
        "halve_every": "Steps, for the schedule halve.",
        "clip": "Largest norm of the gradient; 0 for no limit.",
        "precision": "What most is computed in.",
        "seed": "Of first weights and tasks.",
    },
    "Validation": {
        "validate_every": "Steps between looks, each of which writes a checkpoint.",
        "validation_tasks": "Tasks of a look, the same each time.",
        "validation_ways": "Classes of such a task; by default as in training.",
        "validation_shots": "Support images a class; by default as in training.",
        "validation_queries": "Queries a class; by default as in training.",
        "patience": "Stop after so many looks without a better accuracy; 0 for never.",
    },
}

OPTIONS = [
    click.Option(
        ["--dataset"],
        required=True,
        help="A data set or folder, or dataset@split (train+val is both); by default train.",
    ),
    click.Option(["--backbone"], required=True, help="The network to train; NAME@FILE starts from a checkpoint."),
    click.Option(["--out"], type=click.Path(path_type=Path), required=True, help="The folder of the training."),
    click.Option(["--validation"], help="Split to validate on, or none; by default val where the data set has one."),
    click.Option(["--set", "changes"], multiple=True, metavar="NAME=VALUE", help="A setting below; repeatable."),
    click.Option(["--pretrained"], is_flag=True, help="Start from the pretrained weights of the backbone."),
    click.Option(["--skip-broken"], is_flag=True, help="Leave out images that cannot be read."),
    click.Option(["--device"], default="auto", show_default=True, help="cpu, cuda, mps or auto."),
    click.Option(
        ["--workers"], type=click.IntRange(0), default=0, help="Processes to decode images that do not fit into memory."
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for machines."),
]


def training_options() -> list[click.Option]:
    """An option for every field of `MetaTraining`, with its default."""
    return [_option(name, text) for section in SETTINGS.values() for name, text in section.items()]


def write_sections(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options of a command, those of a training under the titles of `SETTINGS`."""
    titles = {name: title for title, section in SETTINGS.items() for name in section}
    rows: dict[str, list[tuple[str, str]]] = {"Options": [], **{title: [] for title in SETTINGS}}
    for parameter in command.get_params(ctx):
        if record := parameter.get_help_record(ctx):
            rows[titles.get(parameter.name or "", "Options")].append(record)
    for title, records in rows.items():
        with formatter.section(title):
            formatter.write_dl(records)


def _option(name: str, text: str) -> click.Option:
    kind, default = get_type_hints(MetaTraining)[name], getattr(MetaTraining, name)
    more: dict[str, Any] = {"default": default, "show_default": default not in (None, ())}
    words = [choice for choice in get_args(kind) if isinstance(choice, str)]
    if kind is bool:
        more |= {"is_flag": True, "show_default": False}
    elif words:
        more["type"] = click.Choice(words)
    elif default == ():
        more |= {"multiple": True, "type": str}
    else:
        more["type"] = next(choice for choice in (*get_args(kind), kind) if choice is not NoneType)
    return click.Option([f"--{name.replace('_', '-')}"], help=text, **more)
