"""What kind of shift lies between two domains, and what could help: tests, distances, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.checks import check_labels, check_vectors
from fewshot.transfer.domains.classifiers import fit
from fewshot.transfer.domains.concept import ConceptShiftTest, concept_shift_test
from fewshot.transfer.domains.distances import (
    MMDTest,
    ProxyADistance,
    mmd_test,
    proxy_a_distance,
    relative_coral_distance,
)
from fewshot.transfer.domains.label_shift import LabelShiftTest, label_shift_test, out_of_fold
from fewshot.transfer.domains.label_shift.em import em_shares

LEVEL = 0.01  # of each test, so that several at once seldom err
APART = 1.5  # the proxy A-distance from which domains hardly overlap: one item in eight is confused


@dataclass(frozen=True)
class ShiftReport:
    """All that was measured; `kinds` is what is there, of "label", "covariate" and "concept".

    mmd: whether the items differ at all. within_classes: whether they still differ after the source is drawn anew with
    the target's class shares. labels: the test of the class shares, of the labels where the target has any, else of
    the predictions. concept: None without labels of the target. shares: the target's class shares, as counted or as
    estimated by expectation maximisation.
    """

    mmd: MMDTest
    proxy_a: ProxyADistance
    coral: float
    labels: LabelShiftTest
    within_classes: MMDTest
    concept: ConceptShiftTest | None
    shares: tuple[float, ...]
    labelled: bool

    @property
    def kinds(self) -> tuple[str, ...]:
        """The shifts that the tests find, each at level `LEVEL`."""
        found = []
        if self.labels.p_value < LEVEL and (self.labelled or self.mmd.p_value < LEVEL):
            found.append("label")
        if self.within_classes.p_value < LEVEL:
            found.append("covariate")
        if self.concept is not None and self.concept.p_value < LEVEL:
            found.append("concept")
        # without labels, what the class shares explain needs no other explanation, and what they don't may mislead them
        if not self.labelled and "covariate" in found and "label" in found:
            found.remove("label")
        return tuple(found)

    @property
    def words(self) -> tuple[str, ...]:
        """What was found, a sentence each."""
        told = [_SENTENCES[kind] for kind in self.kinds]
        if self.proxy_a.high < 0:
            told.append(
                "Each domain seems to be centred on its own, which hides a shift from the tests; give the features as "
                "they were."
            )
        elif not told:
            told.append("No shift is seen: a classifier of the source should do.")
        if self.proxy_a.low > APART:
            told.append("The domains hardly overlap: weights of items have little to work with.")
        if not self.labelled:
            told.append(
                "Without labels of the target a concept shift cannot be seen; label a few items to test for it."
            )
        elif "concept" in self.kinds and self.proxy_a.low > APART:
            told.append(
                "Where domains hardly overlap, concept and covariate shift cannot be told apart with certainty."
            )
        return tuple(told)

    @property
    def helps(self) -> tuple[str, ...]:
        """Names of adaptation methods that suit, nearest first; "target-labels" where only labels will do."""
        kinds, found = self.kinds, []
        if "concept" in kinds:
            found.append("target-labels")
        if "label" in kinds:
            found += ["bbse", "em"]
        if "covariate" in kinds:
            if self.proxy_a.low <= APART:
                found += ["rulsif", "kliep", "kmm"]
            found += ["subspace-alignment", "gfk", "coral", "ot", "jan", "shot"]
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        parts = {"mmd": self.mmd, "proxy_a": self.proxy_a, "labels": self.labels, "within_classes": self.within_classes}
        concept = None if self.concept is None else vars(self.concept)
        return {
            "kinds": list(self.kinds),
            "words": list(self.words),
            "helps": list(self.helps),
            **{name: dict(vars(part)) for name, part in parts.items()},
            "coral": self.coral,
            "concept": concept,
            "shares": list(self.shares),
            "labelled": self.labelled,
        }


_SENTENCES = {
    "label": "Label shift: the classes have other shares in the target.",
    "covariate": "Covariate shift: items of a class look different in the target.",
    "concept": "Concept shift: items that look alike belong to other classes in the target.",
}


def diagnose_shift(
    source: Tensor,
    labels: Tensor,
    target: Tensor,
    target_labels: Tensor | None = None,
    permutations: int = 500,
    most: int = 1000,
    seed: int = 0,
) -> ShiftReport:
    """Measure the shift from source (N, D), labels (N,), to target (M, D), with its labels (M,) where there are any.

    Features are z-scored over both. Of more than `most` items of a domain, `most` are drawn for the tests.
    Raises `InvalidInput` as the checks of `Adaptation.adapt`, and for a class with fewer than 5 items.
    """
    if permutations * LEVEL <= 1:
        raise InvalidInput(
            f"a test at level {LEVEL} needs more than {1 / LEVEL:.0f} permutations, found {permutations}"
        )
    source, target = check_vectors(source, target)
    labels = check_labels("source", labels, len(source))
    if target_labels is not None:
        target_labels = check_labels("target", target_labels, len(target))
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randperm(len(part), generator=generator)[:most] for part in (source, target))
    source, labels, target = source[first].double(), labels[first], target[second].double()
    target_labels = None if target_labels is None else target_labels[second]
    pooled = torch.cat([source, target])
    mean, deviation = pooled.mean(0), pooled.std(0)
    scale = torch.where(deviation > 0, deviation, 1)
    source, target = (source - mean) / scale, (target - mean) / scale
    known = labels if target_labels is None else torch.cat([labels, target_labels])
    present, places = known.unique(return_inverse=True)
    classes, of_source = len(present), places[: len(labels)]
    of_target = None if target_labels is None else places[len(labels) :]
    test, shares = _class_shares(source, of_source, target, of_target, classes)
    even = resampled(of_source, shares, generator)
    return ShiftReport(
        mmd=mmd_test(source, target, permutations=permutations, seed=seed),
        proxy_a=proxy_a_distance(source, target, seed=seed),
        coral=relative_coral_distance(source, target),
        labels=test,
        within_classes=mmd_test(source[even], target, permutations=permutations, seed=seed),
        concept=None if of_target is None else concept_shift_test(source, of_source, target, of_target, seed=seed),
        shares=tuple(shares.tolist()),
        labelled=of_target is not None,
    )


def resampled(labels: Tensor, shares: Tensor, generator: torch.Generator) -> Tensor:
    """As many indices of labels (N,) as can be drawn without repetition such that the classes have `shares` (C,)."""
    counts = torch.bincount(labels, minlength=len(shares)).double()
    wanted = shares > 0
    size = float((counts[wanted & (counts > 0)] / shares[wanted & (counts > 0)]).min())
    order = torch.randperm(len(labels), generator=generator)
    kept = [order[labels[order] == label][: round(size * float(share))] for label, share in enumerate(shares.tolist())]
    return torch.cat(kept)


def _class_shares(
    source: Tensor, labels: Tensor, target: Tensor, target_labels: Tensor | None, classes: int
) -> tuple[LabelShiftTest, Tensor]:
    """The test of the class shares, and those of the target (C,)."""
    if target_labels is not None:
        counted = torch.bincount(target_labels, minlength=classes).double() / len(target_labels)
        return label_shift_test(labels, target_labels, classes), counted
    guesses = out_of_fold(source, labels, 5)
    model = fit("logistic", source, labels)
    posteriors = torch.from_numpy(model.predict_proba(target.numpy()))
    test = label_shift_test(guesses.argmax(1), posteriors.argmax(1), classes)
    own = torch.bincount(labels, minlength=classes).double() / len(labels)
    # a shift that is not significant is none: small errors of the estimate would look like one
    return test, em_shares(posteriors, own)[0] if test.p_value < LEVEL else own
