"""Which method for how many images a class, with and without the words of the classes: the rules, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot.errors import InvalidInput
from fewshot.learners import Choice, choose_learner
from fewshot.learners.choice import Base

# the backbones where none is named; the bridge's image features are those of the other one
BRIDGE, IMAGES, TEXTS = "bridge:lite0-minilm", "timm:tf_efficientnet_lite0", "sentence:all-MiniLM-L6-v2"
FEW, MANY = 16, float("inf")


@dataclass(frozen=True)
class Rule:
    """The learner for `fewest` to `most` images a class (the median over classes), and why.

    words: with words, without, or None for either. backbone: taken where none is named. measured: on what the rule
    rests, empty where it is no matter of numbers. By scripts/compare_classify_rules.py, chosen on two data sets and
    reported on two others in docs/classify.md.
    """

    words: bool | None
    fewest: int
    most: float
    learner: str
    backbone: str
    reason: str
    measured: str = ""


RULES = (
    Rule(True, 0, 0, "zero-shot", BRIDGE, "there are only names"),
    Rule(
        *(True, 1, 8, "lp++", BRIDGE, "a few images sharpen what the names say"),
        "on caltech101 and cifar-fs 68.4 % at 1 image a class (58.7 without words, 51.4 with words alone), 82.4 % at 8 "
        "(82.0 without words)",
    ),
    Rule(
        *(False, 1, 8, "linear-probe", IMAGES, "there are images and no words"),
        "on caltech101 and cifar-fs 58.7 % at 1 image a class, 82.0 % at 8; no other without words was better",
    ),
    Rule(
        *(None, 9, MANY, "linear-probe", IMAGES, "so many images need no words"),
        "on caltech101 and cifar-fs words add 0.4 points at 8 images a class, and 9.7 at 1",
    ),
)


def find_rule(shots: int, words: bool) -> Rule:
    """The rule for so many images a class; raises `InvalidInput` where there are neither images nor words."""
    for rule in RULES:
        if rule.words in (None, words) and rule.fewest <= shots <= rule.most:
            return rule
    raise InvalidInput("a classifier needs images of the classes, or words for them; found neither")


def choose_method(shots: int, words: bool, base: Base = "none") -> Choice:
    """The learner for so many images a class, with or without words.

    What is known of base classes, as for `choose_learner`, goes before the rules where there are few images and no
    words. Raises `InvalidInput` where there are neither images nor words.
    """
    rule = find_rule(shots, words)
    if base != "none" and not words and shots <= FEW:
        return choose_learner(shots, "alone", base)
    told = f"{rule.learner} for {shots} image{'' if shots == 1 else 's'} a class: {rule.reason}"
    return Choice(rule.learner, f"{told}; {rule.measured}" if rule.measured else told)
