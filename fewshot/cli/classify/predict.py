"""`fewshot classify predict`: what a model says of new pictures or texts."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.arguments import device_option, skip_broken_option
from fewshot.cli.output import json_option, print_json, print_rows, told_warnings
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from fewshot.classify import Prediction


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option("--top", default=1, show_default=True, help="How many classes to tell, best first.")
@click.option("--abstain", default=0.0, show_default=True, help='Say "none" where the confidence is below this.')
@skip_broken_option
@device_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
def predict(
    model: Path,
    images: tuple[str, ...],
    top: int,
    abstain: float,
    skip_broken: bool,
    device: str,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Classify IMAGES by MODEL: pictures, folders of them, or patterns; or a .csv with the column text.

    Only the predictions go to standard output. Confidence is the calibrated probability of the class.

    \b
    Example:
      fewshot classify predict my-model new/*.jpg
      fewshot classify predict my-model new --top 3 --abstain 0.6
      fewshot classify predict my-model new --csv > predictions.csv
    """
    from fewshot.classify import FewShotClassifier
    from fewshot.classify.predictions import check_top, predict_many
    from fewshot.classify.sources import find_items

    if as_csv and as_json:
        raise InvalidInput("give --csv or --json, not both")
    check_top(top, abstain)
    with told_warnings():
        classifier = FewShotClassifier.load(model, device=device)
        items = find_items(list(images), classifier.takes_texts)
        items, predictions = predict_many(classifier, items, top, abstain, skip_broken)
    if not classifier.calibration_.examples:
        click.echo("fewshot: note: confidence is not calibrated, since the model had nothing to hold out", err=True)
    what = "text" if classifier.takes_texts else "image"
    if as_json:
        print_json([_facts(what, *each) for each in zip(items, predictions, strict=True)])
    elif as_csv:
        _print_csv(what, items, predictions)
    else:
        print_rows([_row(what, *each) for each in zip(items, predictions, strict=True)])


def _facts(what: str, item: str, prediction: Prediction) -> dict[str, Any]:
    top = [{"class": name, "confidence": round(share, 6)} for name, share in prediction.top]
    return {what: item, "class": prediction.name, "confidence": round(prediction.confidence, 6), "top": top}


def _row(what: str, item: str, prediction: Prediction) -> dict[str, str]:
    row = {what: item, "class": _named(prediction), "confidence": f"{prediction.confidence:.3f}"}
    if len(prediction.top) > 1:
        row["most probable"] = ", ".join(f"{name} {share:.3f}" for name, share in prediction.top)
    return row


def _print_csv(what: str, items: Sequence[str], predictions: Sequence[Prediction]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    count = len(predictions[0].top) if predictions else 0
    more = [f"{column}_{place}" for place in range(1, count + 1) for column in ("class", "confidence")]
    writer.writerow([what, "class", "confidence", *(more if count > 1 else [])])
    for item, prediction in zip(items, predictions, strict=True):
        top = [cell for name, share in prediction.top for cell in (name, f"{share:.6f}")]
        writer.writerow([item, _named(prediction), f"{prediction.confidence:.6f}", *(top if count > 1 else [])])


def _named(prediction: Prediction) -> str:
    return "none" if prediction.name is None else str(prediction.name)
