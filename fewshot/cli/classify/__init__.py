"""`fewshot classify`: a classifier of one's own pictures or texts."""

import click

from fewshot.cli.classify.evaluate import evaluate
from fewshot.cli.classify.fit import fit
from fewshot.cli.classify.predict import predict


@click.group()
def classify() -> None:
    """Classify your own pictures or texts, from a few examples, class names, or both.

    \b
    Example:
      fewshot classify fit my/photos --out my-model
      fewshot classify predict my-model new/*.jpg
      fewshot classify evaluate my/photos
    """


for command in (fit, predict, evaluate):
    classify.add_command(command)
