"""Which method for how many images a class, with and without the words of the classes: the rules, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot.errors import InvalidInput
from fewshot.learners import Choice, choose_learner
from fewshot.learners.choice import Base

CHOSEN = "choose_learner"  # in place of a learner: what measured best for images alone


@dataclass(frozen=True)
class Rule:
    """For `fewest` to `most` images a class (the median over classes), with or without words: the learner, and why.

    measured says on what the rule rests; empty until it is measured.
    """

    words: bool
    fewest: int
    most: float
    learner: str
    reason: str
    measured: str = ""


MANY = float("inf")
RULES = (
    Rule(True, 0, 0, "zero-shot", "there are only names"),
    Rule(True, 1, 16, "gda", "a few images sharpen what the names say"),
    Rule(True, 17, MANY, "logistic", "so many images need no words"),
    Rule(False, 1, 16, CHOSEN, "a few images and no words"),
    Rule(False, 17, MANY, "logistic", "a linear probe, for so many images"),
)


def choose_method(shots: int, words: bool, base: Base = "none") -> Choice:
    """The learner for so many images a class, with or without words; base as for `choose_learner`.

    Raises `InvalidInput` where there are neither images nor words.
    """
    for rule in RULES:
        if rule.words == words and rule.fewest <= shots <= rule.most:
            if rule.learner == CHOSEN:
                return choose_learner(shots, "alone", base)
            told = f"{rule.learner} for {shots} images a class: {rule.reason}"
            return Choice(rule.learner, f"{told}; {rule.measured}" if rule.measured else told)
    raise InvalidInput("a classifier needs images of the classes, or words for them; found neither")
