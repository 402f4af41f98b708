"""What the names of classes say: one vector a class, in the space of the image features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fewshot.errors import FingerprintMismatch, InvalidInput

if TYPE_CHECKING:
    from fewshot.backbones import TextEncoder


@dataclass(frozen=True)
class Words:
    """Text vectors of classes, for learners that classify by words or by words and images.

    vectors (W, D), or (T, W, D) where tasks have different classes: of length 1, in the space of the image features;
    `names` the class names, one a vector, or those that `classes` (T, W) picks from for each task. The zero-shot logit
    of a feature f of length 1 is `scale` f·t + `bias`: CLIP has scale 100, SigLIP a bias too. `backbone` is the
    fingerprint of the image backbone whose space it is ("" for any).

    What only some learners ask for: `prompts` (W, P, D), the vectors of each prompt of a class, of length 1; `raw`
    (W, D), the mean of the prompts before it is scaled to length 1; `encoder`, the text tower that made them, for
    learners that train prompts; `projection` (E, D), where features are those before the image tower's last
    projection, so that `features @ projection` lies in the space of the vectors.
    """

    vectors: Tensor
    names: tuple[str, ...] = ()
    scale: float = 100.0
    bias: float = 0.0
    backbone: str = ""
    prompts: Tensor | None = None
    raw: Tensor | None = None
    encoder: TextEncoder | None = None
    projection: Tensor | None = None
    classes: Tensor | None = None

    def __post_init__(self) -> None:
        if self.vectors.ndim not in (2, 3) or not self.vectors.is_floating_point() or not self.vectors.shape[-2]:
            found = f"{str(self.vectors.dtype).removeprefix('torch.')} of shape {tuple(self.vectors.shape)}"
            raise InvalidInput(f"text vectors must be floats (classes, dim) or (tasks, classes, dim), found {found}")
        if self.names and self.classes is None and len(self.names) != self.ways:
            raise InvalidInput(f"{self.ways} text vectors need as many class names, found {len(self.names)}")
        if not self.vectors.isfinite().all():
            raise InvalidInput("the text vectors hold NaN or infinite values")
        if ((self.vectors.norm(dim=-1) - 1).abs() > 1e-3).any():
            raise InvalidInput("text vectors must have length 1; divide each by its norm")

    @property
    def ways(self) -> int:
        """How many classes there are."""
        return self.vectors.shape[-2]

    @property
    def dim(self) -> int:
        """The length of the features that these words go with."""
        return self.vectors.shape[-1] if self.projection is None else self.projection.shape[0]

    def of(self, classes: Tensor) -> Words:
        """The words of tasks whose classes are `classes` (T, W), indices into these; -1, padding, gets class 0's."""
        rows = classes.clamp(min=0).to(self.vectors.device)
        prompts = None if self.prompts is None else self.prompts[rows]
        raw = None if self.raw is None else self.raw[rows]
        return replace(self, vectors=self.vectors[rows], prompts=prompts, raw=raw, classes=rows)

    def select(self, names: Sequence[str]) -> Words:
        """The words of the classes called `names`, in that order; raises `InvalidInput` naming one that is missing."""
        number = {name: row for row, name in enumerate(self.names)}
        missing = [name for name in names if name not in number]
        if missing:
            raise InvalidInput(f"there are no words for class {missing[0]!r} ({len(missing)} of {len(names)} lack)")
        rows = torch.tensor([number[name] for name in names])
        return replace(self.of(rows), names=tuple(names), classes=None)

    def for_tasks(self, support: Tensor, ways: int) -> Words:
        """These words on the device and of the type of support (T, S, D), with vectors (T, ways, D).

        Raises `InvalidInput` where classes, tasks or dimensions do not agree.
        """
        tasks = len(support)
        if self.ways != ways or (self.vectors.ndim == 3 and len(self.vectors) != tasks):
            raise InvalidInput(
                f"words of shape {tuple(self.vectors.shape)} do not go with {tasks} tasks of {ways} classes; "
                "words.of(classes) picks those of each task"
            )
        if self.dim != support.shape[2]:
            raise InvalidInput(
                f"the words go with features of {self.dim} dimensions and these have {support.shape[2]}; make both "
                "with the same backbone"
            )

        def placed(each: Tensor | None, batched: bool = True) -> Tensor | None:
            if each is None:
                return None
            each = each.to(support)
            return each.expand(tasks, *each.shape) if batched and self.vectors.ndim == 2 else each

        vectors = placed(self.vectors)
        assert vectors is not None
        return replace(
            self,
            vectors=vectors,
            prompts=placed(self.prompts),
            raw=placed(self.raw),
            projection=placed(self.projection, batched=False),
        )

    def check_backbone(self, fingerprint: str) -> None:
        """Raise `FingerprintMismatch` for features of another backbone."""
        if self.backbone and fingerprint and self.backbone != fingerprint:
            raise FingerprintMismatch(
                f"the words are in the space of backbone {self.backbone} and the features of {fingerprint}; make both "
                "with the same backbone, precision and layers"
            )
