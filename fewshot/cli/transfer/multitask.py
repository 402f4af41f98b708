"""`fewshot transfer multitask`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import load_images
from fewshot.cli.output import json_option, print_facts, print_json, print_rows, told_warnings

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.transfer import TransferResult
    from fewshot.transfer.multitask import Comparison, LabelSets


@click.command()
@click.argument("data")
@click.option(
    "--labels", default="class", show_default=True, help="Label sets with commas between: class, or a group of DATA."
)
@click.option("--split", default="all", show_default=True, help="The split of a data set; also DATA@SPLIT.")
@click.option("--backbone", default="timm:tf_efficientnet_lite0", show_default=True, help="The network.")
@click.option("--train-backbone", is_flag=True, help="Train the network itself, not a small trunk on its features.")
@click.option("--random", is_flag=True, help="Begin with random weights of the network.")
@click.option("--balancing", "methods", multiple=True, help="How losses are balanced; repeatable, by default all.")
@click.option("--shots", type=click.IntRange(1), default=5, show_default=True, help="Images a class to train on.")
@click.option("--tests", type=click.IntRange(1), default=10, show_default=True, help="Most images a class to test on.")
@click.option("--draws", type=click.IntRange(2), default=5, show_default=True, help="Splits into training and test.")
@click.option("--steps", type=click.IntRange(1), default=300, show_default=True, help="Steps of a network.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Images a step.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="At the first step.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of splits and trainings.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@json_option
def multitask(data: str, labels: str, methods: tuple[str, ...], quiet: bool, as_json: bool, **told: Any) -> None:
    """Learn several label sets of DATA at once, and tell whether that is better than each alone.

    Every draw parts the images anew: some of each class to train on, others to test on. Alone, a network of the same
    size is trained on each label set; together, one is trained on all. Draws, trunk and the steps of a network are the
    same; where "steps are shared", the networks of the label sets together take as many as one that learns all.

    The affinity of one label set to another is positive where steps for the first make the loss of the second fall.

    \b
    Example:
      fewshot transfer multitask grocery-store --labels class,coarse
      fewshot transfer multitask omniglot@background --labels class,alphabet --backbone fewshot:conv4-omniglot \\
        --train-backbone --random
    """
    from fewshot.progress import progress_bar
    from fewshot.transfer.multitask import ALONE, ALONE_SHARING, LabelSets, create_balancing, list_balancings

    for name in methods:
        create_balancing(name)
    with told_warnings():
        name, _, split = data.partition("@")
        dataset = load_images(name, split or told["split"])
        sets = LabelSets.of(dataset, [part.strip() for part in labels.split(",") if part.strip()])
        comparison = _comparison(dataset, sets, not quiet, **told)
        chosen = [ALONE, ALONE_SHARING, *(methods or list_balancings())]
        results: list[TransferResult] = []
        with progress_bar("training", sum(map(comparison.steps, chosen)), show=not quiet) as advance:
            for method in chosen:
                results += comparison.measure(method, advance)
    if as_json:
        print_json([result.to_json() for result in results])
        return
    print_rows(list(_rows(results)), f"{dataset.name}: {told['shots']} images a class, {told['draws']} draws")
    if affinities := dict(_affinities(comparison, results)):
        print_facts(affinities)


def _comparison(
    dataset: Dataset,
    sets: LabelSets,
    progress: bool,
    backbone: str,
    train_backbone: bool,
    random: bool,
    shots: int,
    tests: int,
    draws: int,
    steps: int,
    batch: int,
    learning_rate: float,
    seed: int,
    split: str,
) -> Comparison:
    from fewshot.transfer import INDUCTIVE, TARGET_ONLY
    from fewshot.transfer.multitask import Comparison, Draw, MultitaskTraining, draw_split, open_trunk

    training = MultitaskTraining(steps, batch, learning_rate, affinity_every=max(1, steps // 20), seed=seed)
    finest = max(range(len(sets.sizes)), key=sets.sizes.__getitem__)
    parts = [draw_split(sets.codes[:, finest], shots, tests, seed + draw) for draw in range(draws)]
    make_trunk, inputs = open_trunk(backbone, dataset, train_backbone, not random, seed, progress)
    facts = {"dataset": dataset.name, "backbone": backbone, "shots": shots}
    told = [Draw(sets, *part) for part in parts]
    sees = TARGET_ONLY if random else INDUCTIVE
    return Comparison("multitask", dataset.name, make_trunk, inputs, told, training, sees, facts)


def _rows(results: list[TransferResult]) -> Iterator[dict[str, Any]]:
    from fewshot.transfer.multitask import ALONE, verdicts

    gains = {(verdict.case, verdict.together.method): verdict.test for verdict in verdicts(results)}
    for result in sorted(results, key=lambda result: result.case):
        known, test = result.interval, gains.get((result.case, result.method))
        yield {
            "label set": result.case.rpartition(": ")[2],
            "method": result.method,
            "accuracy %": f"{100 * known.mean:.1f} ± {100 * known.half_width:.1f}",
            "gain over " + ALONE: ""
            if test is None
            else f"{100 * test.difference.mean:+.1f} ± {100 * test.difference.half_width:.1f}",
            "p": "" if test is None else f"{test.p_value:.3f}",
        }


def _affinities(comparison: Comparison, results: list[TransferResult]) -> Iterator[tuple[str, str]]:
    for result in results:
        for other, found in result.more.get("affinity", {}).items():
            name = result.case.rpartition(": ")[2]
            yield f"affinity of {other} to {name}", f"{sum(found) / len(found):+.2e}"
