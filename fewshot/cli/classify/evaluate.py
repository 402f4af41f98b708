"""`fewshot classify evaluate`: how good a classifier of these pictures or texts is on others like them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.classify.options import make_classifier, making_options
from fewshot.cli.output import json_option, print_facts, print_json, print_rows, told_warnings
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.classify import ClassifierEvaluation

SHOWN = 20  # classes, worst first


@click.command()
@click.argument("source")
@making_options
@click.option("--repeats", default=10, show_default=True, help="Splits, where there are more than a few images.")
@click.option("--test-share", default=0.2, show_default=True, help="Share of each class that a split tests.")
@click.option("--seed", default=0, show_default=True, help="Of the splits.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="A folder for evaluation.json and confusion.png.")  # fmt: skip
@json_option
def evaluate(
    source: str, repeats: int, test_share: float, seed: int, out: Path | None, as_json: bool, **how: Any
) -> None:
    """Measure a classifier of the classes in SOURCE on images it does not learn from.

    SOURCE is as for `fit`, with images or texts. Up to 200 are left out one at a time, more are split several times.
    Tells accuracy with its 95 % interval, recall of each class, which classes are confused, and whether confidence can
    be trusted.

    \b
    Example:
      fewshot classify evaluate my/photos
      fewshot classify evaluate my/photos --learner ridge --no-words --out evaluation
    """
    from fewshot.classify.picture import draw_evaluation
    from fewshot.classify.sources import read_source
    from fewshot.files import write_json

    with told_warnings():
        found = read_source(source)
        if found.items is None:
            raise InvalidInput(f"{source} holds class names alone; an evaluation needs images or texts of the classes")
        classifier = make_classifier(found, **how)
        evaluation = classifier.evaluate(found.items, found.names, repeats, test_share, seed)
    if out:
        draw_evaluation(evaluation, out / "confusion.png")
        write_json(out / "evaluation.json", evaluation.to_json())
    if as_json:
        print_json(evaluation.to_json())
        return
    _tell(evaluation)
    click.echo(f"wrote {out / 'evaluation.json'}, {out / 'confusion.png'}" if out else
               "next: --out FOLDER writes the confusion matrix as a picture, and all of it as JSON")  # fmt: skip


def _tell(evaluation: ClassifierEvaluation) -> None:
    facts = {
        "accuracy": str(evaluation),
        "learner": f"{evaluation.learner['name']} ({evaluation.reason})",
        "calibration error": f"{100 * evaluation.ece_before:.1f} % before and {100 * evaluation.ece_after:.1f} % after "
        "temperature scaling",
    }
    if evaluation.untested:
        facts["not tested"] = "a single image each: " + ", ".join(map(str, evaluation.untested))
    if evaluation.mistakes:
        worst = evaluation.mistakes[0]
        facts["surest mistake"] = f"{worst.item}, {worst.name}, taken for {worst.predicted} ({worst.confidence:.3f})"
    print_facts(facts)
    named = zip(evaluation.recall.tolist(), evaluation.classes, strict=True)
    recall = sorted(((share, name) for share, name in named if share == share), key=lambda each: each[0])
    print_rows(
        [{"class": str(name), "recall %": f"{100 * share:.1f}"} for share, name in recall[:SHOWN]],
        title=f"the {SHOWN} classes of lowest recall, of {len(recall)}" if len(recall) > SHOWN else "recall",
    )
    pairs = [
        {"class": str(name), "taken for": str(other), "% of the class": f"{100 * share:.1f}", "times": times}
        for name, other, share, times in evaluation.most_confused()
    ]
    if pairs:
        print_rows(pairs, title="most confused")
