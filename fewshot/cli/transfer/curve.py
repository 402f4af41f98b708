"""`fewshot transfer curve`."""

from __future__ import annotations

from pathlib import Path

import click

from fewshot.cli.output import json_option, print_json, print_rows, told_warnings
from fewshot.cli.transfer.features import LITE0, ImageChoice, features_of, image_options
from fewshot.errors import InvalidInput


@click.command()
@click.argument("data")
@click.option("--backbone", default=LITE0, show_default=True, help="Makes the features: NAME or NAME#LAYERS.")
@click.option("--learner", default="logistic", show_default=True, help="name or name:setting=value,...")
@click.option("--shots", default="1,2,4,8", show_default=True, help="Labels a class, with commas between.")
@click.option("--queries", default=15, show_default=True, type=click.IntRange(1), help="Images a class to answer.")
@click.option("--draws", default=20, show_default=True, type=click.IntRange(2), help="Times that labels are drawn.")
@click.option("--goal", "goals", multiple=True, type=float, help="An accuracy such as 0.9; repeatable.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A PNG to draw the curve to.")
@image_options
@json_option
def curve(
    data: str,
    backbone: str,
    learner: str,
    shots: str,
    queries: int,
    draws: int,
    goals: tuple[float, ...],
    out: Path | None,
    choice: ImageChoice,
    as_json: bool,
) -> None:
    """Measure accuracy by labels a class on DATA, and foretell what more of them would give.

    A power law is fitted to the curve. With --goal it says how many more labels an accuracy needs, with an interval, or
    that this curve does not get there.

    \b
    Example:
      fewshot transfer curve my/photos --goal 0.9 --out curve.png
      fewshot transfer curve digits --shots 1,2,4,8 --image-size 64 --per-class 40
    """
    from fewshot.learners import parse_learner
    from fewshot.transfer.small_data import Extrapolation, draw_learning_curve, learning_curve

    numbers = _shots(shots)
    with told_warnings():
        head = parse_learner(learner)
        dataset = choice.load(data)
        table = features_of(choice.backbone(backbone), dataset)
        found = Extrapolation(learning_curve(table, head, numbers, draws, queries, seed=choice.seed))
        answers = tuple(found.goal(goal) for goal in goals)
        ahead = {number: found.accuracy(number) for number in (2 * numbers[-1], 4 * numbers[-1])}
        if out:
            draw_learning_curve(out, found, f"{dataset.name}: {head.name} over {backbone}", answers)
    if as_json:
        about = {"data": dataset.name, "images": len(dataset), "backbone": backbone, **found.curve.to_json()}
        foretold = [{"shots": number, **vars(each)} for number, each in ahead.items()]
        print_json({**about, "law": vars(found.law), "foretold": foretold, "goals": [a.to_json() for a in answers]})
        return
    rows = [
        {"labels a class": str(number), "accuracy %": f"{100 * each.mean:.1f} ± {100 * each.half_width:.1f}",
         "": "measured"} for number, each in zip(numbers, found.curve.intervals, strict=True)
    ]  # fmt: skip
    rows += [
        {"labels a class": str(number), "accuracy %": f"{100 * each.value:.1f} ({100 * each.low:.1f} to "
         f"{100 * each.high:.1f})", "": "foretold"} for number, each in ahead.items()
    ]  # fmt: skip
    print_rows(rows, title=f"{found.curve.ways} classes, {draws} draws, {head.name} over {backbone}")
    for answer in answers:
        click.echo(str(answer))
    if not goals:
        click.echo("next: --goal 0.9 tells how many labels that takes")
    if out:
        click.echo(f"wrote {out}")


def _shots(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"--shots takes whole numbers and commas, such as 1,2,4,8; found {text!r}") from None
    if len(numbers) < 3:
        raise InvalidInput(f"a curve needs three numbers of shots or more, found {text!r}; such as 1,2,4,8")
    return numbers
