"""An honest number for a classifier of one's own: on images that it has not seen, by leave-one-out or by splits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.classify.evaluation import ClassifierEvaluation, Mistake, count_confusions
from fewshot.classify.examples import Examples
from fewshot.classify.held_out import held_out_logits
from fewshot.classify.items import Items, Names, ids_of
from fewshot.classify.preparation import prepare
from fewshot.classify.temperature import calibrate, fit_temperature
from fewshot.errors import InvalidInput
from fewshot.learners import Learner
from fewshot.metrics import calibration_error
from fewshot.metrics.interval import t_quantile
from fewshot.progress import progress_bar

if TYPE_CHECKING:
    from fewshot.classify.classifier import FewShotClassifier

FEW = 200  # images, up to which they are left out one at a time


@dataclass(frozen=True)
class Predictions:
    """Held-out predictions: rows (M,) of the examples, their logits (M, W) and the temperature (M,) of each."""

    rows: Tensor
    logits: Tensor
    temperatures: Tensor


def evaluate_classifier(
    classifier: FewShotClassifier, images: Items, names: Names | None, repeats: int, test_share: float, seed: int
) -> ClassifierEvaluation:
    """See `FewShotClassifier.evaluate`. Raises what `fit` does, and `InvalidInput` where every class has one image."""
    if repeats < 2:
        raise InvalidInput(f"repeats must be 2 or more, for an interval, found {repeats}")
    if not 0 < test_share < 1:
        raise InvalidInput(f"test_share must lie between 0 and 1, found {test_share}")
    prepared = prepare(classifier, images, names)
    learner, examples, classes = prepared.learner, prepared.examples, tuple(prepared.classes.tolist())
    all_ids = ids_of(images)
    ids = [all_ids[row] for row in prepared.rows.tolist()]
    lone = (examples.counts == 1) & learner.needs_support
    if lone.all():
        raise InvalidInput("every class has one image, so none can be held out; give a second image of some class")
    started = perf_counter()
    one_by_one = len(examples.labels) <= FEW and not learner.transductive
    if one_by_one:
        found, protocol = _leave_one_out(learner, examples), "leave-one-out"
        accuracy, interval = _wilson(_right(found, examples.labels))
    else:
        splits = _by_splits(learner, examples, repeats, test_share, seed)
        accuracy, interval = _resampled([_right(each, examples.labels) for each in splits], len(examples.labels))
        found = Predictions(*(torch.cat([getattr(each, name) for each in splits]) for name in vars(splits[0])))
        protocol = f"{repeats} splits with {100 * test_share:g} % of each class held out"
    labels, best = examples.labels[found.rows], found.logits.argmax(1)
    after = (found.logits / found.temperatures[:, None]).softmax(1)
    return ClassifierEvaluation(
        protocol=protocol,
        accuracy=accuracy,
        interval=interval,
        items=len(examples.labels),
        classes=classes,
        confusion=count_confusions(labels, best, len(classes)).cpu(),
        ece_before=calibration_error(found.logits.softmax(1)[None], labels[None]),
        ece_after=calibration_error(after[None], labels[None]),
        untested=tuple(name for name, alone in zip(classes, lone.tolist(), strict=True) if alone),
        mistakes=_mistakes(found.rows, labels, after, ids, classes),
        learner=learner.facts(),
        reason=prepared.reason,
        backbone=classifier.backbone.describe(),
        settings={} if one_by_one else {"repeats": repeats, "test_share": test_share, "seed": seed},
        seconds=perf_counter() - started,
    )


def _leave_one_out(learner: Learner, examples: Examples) -> Predictions:
    """Each example by all others. Its temperature is fitted to the held-out logits of the others."""
    labels = examples.labels
    everyone = torch.arange(len(labels), device=labels.device)
    folds = everyone if not learner.needs_support else everyone.masked_fill(examples.counts[labels] < 2, -1)
    logits = held_out_logits(learner, examples, folds)
    rows = (folds >= 0).nonzero()[:, 0]
    temperatures = [
        fit_temperature(logits[others], labels[others]) if len(others) else 1.0 for others in _all_but_one(rows)
    ]
    return Predictions(rows, logits[rows], torch.tensor(temperatures, dtype=torch.float64, device=labels.device))


def _all_but_one(rows: Tensor) -> list[Tensor]:
    return [torch.cat([rows[:place], rows[place + 1 :]]) for place in range(len(rows))]


def _by_splits(learner: Learner, examples: Examples, repeats: int, test_share: float, seed: int) -> list[Predictions]:
    """The predictions of each split. Learner and temperature see the training part alone."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    with progress_bar("splits", repeats) as advance:
        for _ in range(repeats):
            test = _split(examples.labels, test_share, learner.needs_support, draw)
            train = examples.select((~test).nonzero()[:, 0])
            rows = test.nonzero()[:, 0]
            with torch.no_grad():
                logits = train.fit(learner)(examples.features[rows][None])[0].double()
            temperature = calibrate(learner, train).temperature
            found.append(Predictions(rows, logits, torch.full_like(logits[:, 0], temperature)))
            advance(1)
    return found


def _split(labels: Tensor, share: float, keep_one: bool, draw: torch.Generator) -> Tensor:
    """A mask (N,) of the test part: the share of each class, one image or more, and never all where one must stay."""
    places = torch.rand(len(labels), generator=draw).to(labels.device)
    test = torch.zeros_like(labels, dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        count = min(max(1, round(share * len(members))), len(members) - keep_one)
        test[members[places[members].argsort()[:count]]] = True
    return test


def _right(found: Predictions, labels: Tensor) -> Tensor:
    return (found.logits.argmax(1) == labels[found.rows]).double()


def _wilson(right: Tensor) -> tuple[float, tuple[float, float]]:
    """A share with its 95 % score interval (Wilson 1927), which stays wide where all of a few are right."""
    z, count, share = 1.959964, len(right), float(right.mean())
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return share, (middle - half, middle + half)


def _resampled(right: list[Tensor], items: int) -> tuple[float, tuple[float, float]]:
    """The mean over splits with its 95 % t-interval, widened since splits share images (Nadeau and Bengio 2003, eq. 6).

    The variance of the mean is (1 / splits + tested / trained) times that over splits, rather than 1 / splits.
    """
    values = torch.stack([each.mean() for each in right])
    tested = sum(map(len, right)) / len(right)
    factor = 1 / len(values) + tested / (items - tested)
    mean, half = float(values.mean()), t_quantile(0.95, len(values) - 1) * float(values.std()) * math.sqrt(factor)
    return mean, (max(0.0, mean - half), min(1.0, mean + half))


def _mistakes(
    rows: Tensor, labels: Tensor, probabilities: Tensor, ids: Sequence[str], names: tuple
) -> tuple[Mistake, ...]:
    """The wrong predictions, surest first; an item that was tested several times counts by its surest mistake."""
    confidence, best = probabilities.max(1)
    surest: dict[int, Mistake] = {}
    for place in confidence.argsort(descending=True).tolist():
        row, label, guess = int(rows[place]), int(labels[place]), int(best[place])
        if label != guess:
            surest.setdefault(row, Mistake(ids[row], names[label], names[guess], round(float(confidence[place]), 6)))
    return tuple(surest.values())
