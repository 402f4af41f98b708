"""The linear probe that CLIP is compared with: logistic regression on the image features (Radford et al. 2021)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from fewshot.learners.inductive.logistic import Logistic
from fewshot.learners.registry import register_learner


@register_learner(
    "linear-probe",
    paper="Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, "
    "arXiv:2103.00020, appendix A.3",
)
@dataclass(frozen=True)
class LinearProbe(Logistic):
    """Logistic regression on features of length 1, without words: `logistic` with less penalty and values of C to try.

    C: the weight of the summed log loss against half the squared weights. The authors choose it per data set on
    validation images, among values from 1e-6 to 1e6. normalize and steps as in `logistic`.
    """

    C: float = 10.0

    grid: ClassVar[Mapping[str, tuple[float, ...]]] = {"C": (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)}
