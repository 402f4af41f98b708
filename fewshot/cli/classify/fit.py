"""`fewshot classify fit`: learn classes and write the model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.classify.options import make_classifier, making_options
from fewshot.cli.output import json_option, print_facts, print_json, told_warnings

if TYPE_CHECKING:
    from fewshot.classify import Calibration


@click.command()
@click.argument("source")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write the model to.")
@making_options
@json_option
def fit(source: str, out: Path, as_json: bool, **how: Any) -> None:
    """Learn the classes in SOURCE and write a model to OUT.

    SOURCE is a folder or zip with a subfolder of pictures for each class; a .csv with the columns text and label; or
    class names alone, between commas or one a line in a .txt. Learner and backbone follow from how many images a class
    there are, by rules that were measured (docs/classify.md), and are told with their reason.

    \b
    Example:
      fewshot classify fit my/photos --out my-model
      fewshot classify fit cat,dog,fox --out my-model
      fewshot classify fit reviews.csv --out my-model
    """
    from fewshot.classify.sources import read_source
    from fewshot.classify.storage import check_replaceable

    with told_warnings():
        check_replaceable(out)
        found = read_source(source)
        classifier = make_classifier(found, **how)
        if found.items is None:
            classifier.fit_names(found.names)
        else:
            classifier.fit(found.items, found.names)
        classifier.save(out)
    learner, calibration = classifier.head_.learner, classifier.calibration_
    facts = {
        "model": str(out),
        "classes": len(classifier.classes_),
        "texts" if classifier.takes_texts else "images": 0 if found.items is None else len(found.items),
        "learner": learner.name,
        "reason": classifier.reason_,
        "backbone": classifier.backbone.name,
    }
    if as_json:
        print_json({**facts, "calibration": asdict(calibration)})
        return
    print_facts({**facts, "confidence": _confidence(calibration)})
    click.echo(f"next: fewshot classify predict {out} {'NEW.csv' if classifier.takes_texts else 'PICTURES...'}")


def _confidence(calibration: Calibration) -> str:
    if not calibration.examples:
        return "as the learner gives it, since there was nothing to hold out"
    if calibration.even:
        return f"even, since {calibration.examples} held-out predictions were no better than chance; give more examples"
    return (
        f"calibrated: temperature {calibration.temperature:.3g}, fitted to {calibration.examples} held-out predictions"
    )
