"""Zero-shot: the class whose words lie closest to the image (Radford et al. 2021, section 3.1.2)."""

from dataclasses import dataclass
from typing import ClassVar

from fewshot.learners.registry import register_learner
from fewshot.learners.vision_language.learner import WordLearner


@register_learner(
    "zero-shot",
    paper="Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, "
    "arXiv:2103.00020",
)
@dataclass(frozen=True)
class ZeroShot(WordLearner):
    """The cosine of an image to the words of each class, with the scale and bias of the words; no image is learned."""

    needs_support: ClassVar[bool] = False
    transfers: ClassVar[bool] = True
