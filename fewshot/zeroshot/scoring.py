"""Zero-shot evaluation of an embedding table: how often the names alone find the class, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint
from fewshot.learners.words import Words
from fewshot.metrics import Interval, accuracy_interval, top_k_accuracy
from fewshot.zeroshot.calibration import Calibration, calibrate
from fewshot.zeroshot.logits import zero_shot_logits
from fewshot.zeroshot.prompts import BACKGROUND, Texts, class_prompts
from fewshot.zeroshot.templates import Template, TemplateSet, template_set
from fewshot.zeroshot.text_classifier import embed_prompts

if TYPE_CHECKING:
    from fewshot.backbones import Backbone
    from fewshot.embeddings import EmbeddingTable


@dataclass(frozen=True)
class ZeroShotResult:
    """The scores of a text classifier on the N items of a table with C classes.

    top1, top5: accuracy, a mean over items with Student's t interval over items; top5 is None below six classes.
    class_recall: the mean over the classes that have items of the share found of each, its t interval over classes.
    confusion (C, W) int64: items of a true class (row) by predicted class (column); W = C, or C + 1 with a background,
    whose prediction is never right. calibration: temperature and expected calibration error; None below five items.
    settings: templates and what else made the words; backbone, dataset: what was scored.
    """

    top1: Interval
    top5: Interval | None
    class_recall: Interval
    confusion: Tensor
    calibration: Calibration | None
    class_names: tuple[str, ...]
    backbone: dict[str, Any]
    dataset: Any
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @cached_property
    def recalls(self) -> Tensor:
        """The share (C,) of each class's items that were found, float64; NaN for a class without items."""
        return self.confusion.diagonal().double() / self.confusion.sum(1)

    def confused(self, count: int = 10) -> list[tuple[str, str, int]]:
        """The pairs (true class, predicted class, items) with the most items, the most first."""
        wrong = self.confusion.clone()
        wrong.fill_diagonal_(0)
        best = wrong.flatten().sort(descending=True, stable=True).indices[:count].tolist()
        pairs = [divmod(place, wrong.shape[1]) for place in best]
        return [
            (self._name(true), self._name(found), int(wrong[true, found]))
            for true, found in pairs
            if wrong[true, found]
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON; the confusion as [true, predicted, items] where there are items."""
        return {
            "backbone": self.backbone,
            "dataset": self.dataset,
            "settings": self.settings,
            "items": self.top1.count,
            "classes": len(self.class_names),
            "top1": _plain(self.top1, "items"),
            "top5": _plain(self.top5, "items"),
            "class_recall": _plain(self.class_recall, "classes"),
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "class_names": list(self.class_names),
            "recalls": [None if share != share else round(share, 6) for share in self.recalls.tolist()],
            "confusion": [[*place, int(self.confusion[tuple(place)])] for place in self.confusion.nonzero().tolist()],
            "seconds": self.seconds,
        }

    def _name(self, number: int) -> str:
        return self.class_names[number] if number < len(self.class_names) else BACKGROUND


def evaluate_zero_shot(
    backbone: Backbone,
    table: EmbeddingTable,
    templates: str | TemplateSet | Sequence[Template] | None = "simple",
    class_names: Mapping[str, Texts] | None = None,
    descriptions: Mapping[str, Texts] | None = None,
    synonyms: Mapping[str, Texts] | None = None,
    background: Texts | None = None,
    clean: bool = True,
    **embedding: Any,
) -> ZeroShotResult:
    """How well `backbone` classifies `table`, which it embedded, by the names of the classes.

    class_names: what classes are called in prompts where this is not their name. The rest as `build_words` takes it.
    Raises what `build_words` and `score_words` raise.
    """
    if unknown := set(class_names or ()) - set(table.class_names):
        raise InvalidInput(f"class_names name {min(unknown)!r}, which is no class of {table.name}")
    calls = {name: (class_names or {}).get(name, name) for name in table.class_names}
    chosen = template_set(templates)
    prompts = class_prompts(calls, chosen, descriptions, synonyms, background, clean)
    how = embedding.get("how", "mean")
    settings = {
        "templates": chosen.describe(),
        "prompts": {"count": sum(map(len, prompts.values())), "fingerprint": fingerprint(list(prompts.values()))},
        "described_classes": sum(bool(texts) for texts in (descriptions or {}).values()),
        "how": how if isinstance(how, str) else [float(weight) for weight in how],
    }
    return score_words(embed_prompts(backbone, prompts, **embedding), table, settings)


def score_words(words: Words, table: EmbeddingTable, settings: Mapping[str, Any] | None = None) -> ZeroShotResult:
    """How well `words` classify `table`: they name its classes in its order, and maybe a background class after them.

    All logits (N, W) are held at once. Raises `InvalidInput` for words of other classes and `FingerprintMismatch` for
    words of another backbone.
    """
    start = perf_counter()
    words.check_backbone(table.backbone)
    classes = len(table.class_names)
    if words.names[:classes] != table.class_names or words.names[classes:] not in ((), (BACKGROUND,)):
        raise InvalidInput(f"the words must name the {classes} classes of {table.name} in its order")
    logits, labels = zero_shot_logits(words, table.features), table.labels.to(words.vectors.device)
    confusion = (
        (labels * words.ways + logits.argmax(1)).bincount(minlength=classes * words.ways).view(classes, -1).cpu()
    )
    present = confusion.sum(1) > 0
    return ZeroShotResult(
        top1=_over_items(logits, labels, 1),
        top5=_over_items(logits, labels, 5) if words.ways > 5 else None,
        class_recall=accuracy_interval((confusion.diagonal().double() / confusion.sum(1))[present]),
        confusion=confusion,
        calibration=calibrate(logits, labels) if len(labels) >= 5 else None,
        class_names=table.class_names,
        backbone=dict(table.provenance.get("backbone") or {"fingerprint": table.backbone}),
        dataset=table.provenance.get("dataset"),
        settings=dict(settings or {}),
        seconds=perf_counter() - start,
    )


def _over_items(logits: Tensor, labels: Tensor, k: int) -> Interval:
    return accuracy_interval(top_k_accuracy(logits[:, None], labels[:, None], k))


def _plain(interval: Interval | None, over: str) -> dict[str, Any] | None:
    if interval is None:
        return None
    half = interval.half_width
    return {"mean": interval.mean, "ci95": None if half != half else half, "t_interval_over": over}
