"""`fewshot bench run`: every combination of what is named, kept as results."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option, parse_layers
from fewshot.cli.bench.options import Ways, parse_learners, store_option
from fewshot.cli.bench.results import result_row
from fewshot.cli.output import json_option, print_json, told_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fewshot.benchmark import Outcome, Protocol


def _many(name: str, default: list[Any] | None = None, **more: Any) -> Any:
    """An option that may be given several times, also called by its plural."""
    shown = {"default": default, "show_default": True} if default else {"required": "random" not in name}
    plural = name if name.endswith("s") else f"{name}s"
    return click.option(*dict.fromkeys((name, plural)), plural.lstrip("-"), multiple=True, **shown | more)


@click.command()
@_many("--dataset", help="A data set, or dataset@split; repeatable.")
@_many("--backbone", ["timm:tf_efficientnet_lite0"], help="A backbone; repeatable.")
@_many("--random", help="A backbone with random weights; repeatable.")
@_many("--learner", ["prototypical"], help="name, name:setting=value,... or all; repeatable.")
@_many("--ways", [5], type=Ways(), help="Classes a task; repeatable.")
@_many("--shots", [1, 5], type=click.IntRange(0), help="Support images a class; 0, with a pool: words alone.")
@click.option("--queries", type=click.IntRange(1), default=15, show_default=True, help="Queries a class.")
@click.option("--episodes", type=click.IntRange(2), default=600, show_default=True, help="Tasks to average over.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the tasks drawn.")
@click.option("--base", help="Split that learners may see beforehand, or none; by default train where there is one.")
@click.option("--imbalance", "query_imbalance", type=float, help="Dirichlet concentration of the query counts.")
@click.option("--unlabelled", type=click.IntRange(0), default=0, help="Further items a class, without their labels.")
@click.option("--distractors", type=click.IntRange(0), default=0, help="Classes among the unlabelled items only.")
@click.option("--support-domain", help="Draw the support from this domain.")
@click.option("--query-domain", help="Draw the queries from this domain.")
@click.option("--within", "groups", help="Keep each task within one group, such as alphabet.")
@click.option("--pool", help="Draw supports from this split, part (part=train), share of each class (2/3) or none.")
@click.option("--words", help="Prompt templates for learners with words, such as simple or name+descriptions.")
@click.option(
    "--tuning",
    type=click.Choice(["none", "few", "full", "ensemble"]),
    default="none",
    show_default=True,
    help="How learners choose their settings.",
)
@click.option("--half", type=click.Choice(["base", "new"]), help="Learn one half of the classes; test it or the other.")
@device_option
@click.option("--precision", default="auto", show_default=True, help="float32, bfloat16, float16 or auto.")
@click.option("--layers", help="Layers to take instead of the last; pre-projection for ProLIP.")
@click.option(
    "--mode",
    type=click.Choice(["only-missing", "always", "never"]),
    default="only-missing",
    show_default=True,
    help="Compute what is missing, everything, or nothing.",
)
@store_option
@json_option
def run(
    datasets: tuple[str, ...],
    backbones: tuple[str, ...],
    randoms: tuple[str, ...],
    learners: tuple[str, ...],
    ways: tuple[Any, ...],
    shots: tuple[int, ...],
    base: str | None,
    device: str,
    precision: str,
    layers: str | None,
    mode: Any,
    store: Path,
    as_json: bool,
    **settings: Any,
) -> None:
    """Evaluate every combination of data sets, backbones, learners, ways and shots, and keep each result.

    Results that are there are not computed again, so a stopped run goes on when the same command is given again. With
    --learners all, a learner that asks for base classes is left out where a data set has none.

    \b
    Example:
      fewshot bench run --dataset cifar-fs --dataset caltech101 --learners all
      fewshot bench run --dataset openmoji --support-domain color --query-domain line --queries 1 --shots 1
      fewshot bench run --dataset caltech101 --backbone bridge:lite0-minilm --learners gda --ways all --pool 2/3 \\
        --words simple --episodes 10
      fewshot bench run --dataset caltech101 --backbone bridge:lite0-minilm --learners coop --ways all --pool 2/3 \\
        --words simple --episodes 10 --half new
    """
    from fewshot.backbones import create_backbone
    from fewshot.benchmark import ResultStore
    from fewshot.benchmark import run as run_all

    source = click.get_current_context().get_parameter_source("backbones")
    if randoms and source is click.core.ParameterSource.DEFAULT:
        backbones = ()
    with told_warnings():
        protocols = [_protocol(*choice, base, settings) for choice in product(datasets, ways, shots)]
        taken = parse_layers(layers)
        named = [create_backbone(name, device, precision, layers=taken) for name in backbones]
        named += [create_backbone(name, device, precision, layers=taken, pretrained=False) for name in randoms]
        chosen = [learner for text in learners for learner in parse_learners(text)]
        outcomes = run_all(protocols, named, chosen, ResultStore(store), mode=mode, told=_tell)
    if "all" in learners:
        outcomes = [outcome for outcome in outcomes if outcome.applicable]
    _summarise(outcomes, as_json)


def _protocol(dataset: str, ways: Any, shots: int, base: str | None, settings: dict[str, Any]) -> Protocol:
    from fewshot.benchmark import Protocol, default_base, default_split

    name, _, split = dataset.partition("@")
    split = split or default_split(name)
    base = None if base == "none" else base or default_base(name, split)
    return Protocol(name, split=split, ways=ways, shots=shots, base=base, **settings)


def _tell(outcome: Outcome) -> None:
    where = f"{outcome.protocol.dataset} {outcome.protocol.task} · {outcome.backbone} · {outcome.learner}"
    if outcome.result is None:
        click.echo(f"{where}: none, {outcome.reason}", err=True)
        return
    kept = "" if outcome.made_now else "  (kept)"
    click.echo(f"{where}: {100 * outcome.result.accuracy:.2f} ± {100 * outcome.result.ci95:.2f} %{kept}", err=True)


def _summarise(outcomes: Sequence[Outcome], as_json: bool) -> None:
    """Print what was done; exit code 2 when a combination could not be."""
    found = [outcome.result for outcome in outcomes if outcome.result]
    missing = [
        {"protocol": outcome.protocol.name, "backbone": outcome.backbone, "learner": outcome.learner}
        | {"reason": outcome.reason}
        for outcome in outcomes
        if outcome.result is None
    ]
    if as_json:
        print_json({"results": [result_row(result) for result in found], "missing": missing})
    else:
        made = sum(outcome.made_now for outcome in outcomes)
        kept = len(found) - made
        click.echo(f"{made} computed, {kept} kept from before, {len(missing)} missing; next: fewshot bench report")
    if missing:
        raise SystemExit(2)
