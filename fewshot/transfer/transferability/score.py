"""The scores by name: what each is, where it comes from, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.registry import Registry
from fewshot.transfer.sees import INDUCTIVE, Sees
from fewshot.transfer.transferability.gbc import gbc
from fewshot.transfer.transferability.h_score import h_score, shrunk_h_score
from fewshot.transfer.transferability.leep import leep
from fewshot.transfer.transferability.logme import logme
from fewshot.transfer.transferability.nce import nce
from fewshot.transfer.transferability.nleep import nleep
from fewshot.transfer.transferability.transrate import transrate

SCORES: Registry[Score] = Registry("transferability score")
# what a ranking goes by: of the scores of features those that the study of transferability found to order sources best
TRUSTED = ("nleep", "logme", "gbc")


@dataclass(frozen=True)
class Score:
    """How promising a source is for a target, without training; higher is better.

    `measure` takes what `looks_at` names, then the target's labels: "features" (N, D), or "source head", the
    probabilities (N, Z) that the classifier of the pretraining gives.
    """

    name: str
    summary: str
    paper: str
    looks_at: str
    measure: Callable[[Tensor, Tensor], float] = field(repr=False)
    sees: Sees = INDUCTIVE

    @property
    def needs_head(self) -> bool:
        """Whether it works with the classifier of the pretraining alone."""
        return self.looks_at == "source head"

    def of(self, features: Tensor, labels: Tensor, probabilities: Tensor | None = None) -> float:
        """The score of one source on labelled items of the target.

        Raises `InvalidInput` where the source head is needed and there is none, and what the score itself refuses.
        """
        if not self.needs_head:
            return self.measure(features, labels)
        if probabilities is None:
            raise InvalidInput(
                f"{self.name} needs the probabilities of the source's own classifier, and this source has none; take a "
                f"score of features ({', '.join(name for name in SCORES if not SCORES[name].needs_head)})"
            )
        return self.measure(probabilities, labels)

    def facts(self) -> dict[str, Any]:
        """For JSON: all but the function."""
        return {"name": self.name, "summary": self.summary, "paper": self.paper, "looks_at": [self.looks_at, "labels"]}


def _enter(name: str, looks_at: str, measure: Callable[[Tensor, Tensor], float], summary: str, paper: str) -> None:
    SCORES.add(name, Score(name, summary, paper, looks_at, measure))


def _nce_of_probabilities(probabilities: Tensor, labels: Tensor) -> float:
    return nce(probabilities.argmax(1), labels)


_enter("leep", "source head", leep, "log likelihood of the labels read off the source's classes",
       "Nguyen et al. 2020, LEEP: A New Measure to Evaluate Transferability, arXiv:2002.12462")  # fmt: skip
_enter("nce", "source head", _nce_of_probabilities, "minus the entropy of the labels given the source's class",
       "Tran et al. 2019, Transferability and Hardness of Supervised Tasks, arXiv:1908.08142")  # fmt: skip
_enter("nleep", "features", nleep, "LEEP with clusters of the features for source classes",
       "Li et al. 2021, Ranking Neural Checkpoints, arXiv:2011.11200")  # fmt: skip
_enter("logme", "features", logme, "evidence of a linear model from features to labels",
       "You et al. 2021, LogME: Practical Assessment of Pre-trained Models, arXiv:2102.11005")  # fmt: skip
_enter("h-score", "features", h_score, "spread of class means against that of all items",
       "Bao et al. 2019, An Information-Theoretic Approach to Transferability, ICIP")  # fmt: skip
_enter("shrunk-h-score", "features", shrunk_h_score, "the same with a shrunk covariance, for few items",
       "Ibrahim et al. 2022, Newer is not always better, arXiv:2110.06893")  # fmt: skip
_RATE = "Huang et al. 2022, Frustratingly Easy Transferability Estimation, arXiv:2106.09362"
_enter("transrate", "features", transrate, "mutual information of features and labels by coding rates", _RATE)
_enter("transrate-scaled", "features", partial(transrate, scaled=True), "the same of features of equal size", _RATE)
_OVERLAP = "Pandy et al. 2022, Transferability Estimation using Bhattacharyya Separability, arXiv:2111.12780"
_enter("gbc", "features", gbc, "minus the overlap of the classes as round Gaussians", _OVERLAP)
_enter("gbc-diagonal", "features", partial(gbc, gaussian="diagonal"), "the same, a variance a coordinate", _OVERLAP)
