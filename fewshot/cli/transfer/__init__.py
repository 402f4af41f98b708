"""`fewshot transfer`: from a pretrained network to a small data set."""

import click

from fewshot.cli.lazy import LazyGroup

COMMANDS = {
    "layers": "Compare the depths of a network on your data.",
    "tune": "Fine-tune a network in stages.",
    "curve": "Accuracy by shots, and how many more labels a goal needs.",
    "shift": "Tell what kind of shift lies between two data sets, and what could help.",
    "adapt": "Adapt from a labelled source to a target without labels.",
    "check": "Does the source help? Pretrained against random and target-only.",
    "rank": "Rank backbones or sources without training.",
    "multitask": "Learn several label sets at once, against each alone.",
    "pretrain": "Learn a backbone from images without labels.",
    "study": "Run one of the report's studies.",
    "report": "Make the report from the results of the studies.",
}


@click.group(cls=LazyGroup, package=__name__, told=COMMANDS)
def transfer() -> None:
    """From a pretrained network to a small data set, and knowing when not to.

    \b
    Example:
      fewshot transfer layers photos --backbone timm:tf_efficientnet_lite0
      fewshot transfer check photos
    """
