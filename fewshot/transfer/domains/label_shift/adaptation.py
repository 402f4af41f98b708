"""Label shift as adaptation: the source's classifier, told of the class shares that the target shows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.transfer.domains.adaptation import Adaptation, register_adaptation
from fewshot.transfer.domains.classifiers import fit, predict
from fewshot.transfer.domains.label_shift.bbse import bbse_weights
from fewshot.transfer.domains.label_shift.em import em_shares


@register_adaptation("bbse", paper="Lipton et al. 2018, Detecting and Correcting for Label Shift, arXiv:1802.03916")
@dataclass(frozen=True)
class BBSE(Adaptation):
    """A classifier of the source whose items weigh what black-box shift estimation says of their class."""

    folds: int = 5

    def _predict(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        present, places = labels.unique(return_inverse=True)
        guesses = out_of_fold(source, places, self.folds).argmax(1)
        of_target = predict("logistic", source, places, target)
        weights = bbse_weights(places, guesses, of_target, len(present))
        return predict("logistic", source, labels, target, weights[places])


@register_adaptation(
    "em", paper="Saerens et al. 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities"
)
@dataclass(frozen=True)
class EM(Adaptation):
    """The source's classifier, its posteriors moved to the class shares that expectation maximisation finds."""

    def _predict(self, source: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        present, places = labels.unique(return_inverse=True)
        shares = torch.bincount(places).double() / len(places)
        posteriors = fit("logistic", source, places).predict_proba(target.double().numpy())
        _, adjusted = em_shares(torch.from_numpy(posteriors), shares)
        return present[adjusted.argmax(1)]


def out_of_fold(source: Tensor, labels: Tensor, folds: int, seed: int = 0) -> Tensor:
    """p(class | item) (N, C) of each source item by a logistic classifier that did not see it.

    labels (N,) in [0, C). Raises `InvalidInput` where a class has fewer items than `folds`.
    """
    from sklearn.model_selection import StratifiedKFold

    fewest = int(torch.bincount(labels).min())
    if folds < 2 or fewest < folds:
        raise InvalidInput(f"{folds} folds need 2 folds and {folds} items of each class, found a class with {fewest}")
    chances = torch.empty(len(labels), int(labels.max()) + 1, dtype=torch.float64)
    for train, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(source, labels):
        model = fit("logistic", source[train], labels[train])
        chances[held_out] = torch.from_numpy(model.predict_proba(source[held_out].double().numpy()))
    return chances
