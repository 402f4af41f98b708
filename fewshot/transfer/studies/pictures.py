"""Pictures: from colour emoji to their line drawings, and from product pictures to photos taken in shops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from fewshot.datasets import load_dataset
from fewshot.embeddings import EmbeddingTable
from fewshot.transfer.domains import parse_adaptation
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.studies.domain_pairs import Case, Pair, by_case, measure, table, verdict
from fewshot.transfer.studies.study import Study

NAME = "pictures"
DRAWS, CLASSES, PHOTOS, SIDE = 10, 40, 5, 96
BACKBONE = "timm:tf_efficientnet_lite0"
NEAREST = "source-only, 1-nn"
METHODS = {
    NEAREST: "source-only",
    "source-only, logistic": "source-only:classifier=logistic",
    "subspace-alignment": "subspace-alignment:components=30",
    "gfk": "gfk",
    "tca": "tca:components=30",
    "jda": "jda:components=30",
    "coral": "coral",
    "ot": "ot",
    "jdot": "jdot",
    "shot": "shot:batch=40,epochs=20",
}
CASES = {
    "emoji, colour to line": ("openmoji-small", {"domain": "color"}, {"domain": "line"}),
    "groceries, product picture to shop": ("grocery-store", {"domain": "iconic"}, {"part": "test"}),
}


def run(store: TransferStore, progress: bool) -> None:
    """Ten draws of 40 classes: one picture a class in the source, up to five in the target."""
    methods = {label: parse_adaptation(text) for label, text in METHODS.items()}
    cases = []
    for name, (dataset, source, target) in CASES.items():
        about = {"dataset": dataset, "backbone": f"{BACKBONE} at {SIDE} pixels", "classes": CLASSES}
        cases.append(Case(name, partial(_draws, dataset, source, target, progress), methods, about))
    measure(NAME, cases, store, progress)


def section(results: Sequence[TransferResult]) -> str:
    """A table for each, and which methods are above the nearest neighbour."""
    if not results:
        return "Nothing is measured yet."
    lines: list[str] = []
    for case, found in by_case(results).items():
        lines += [f"**{case}**", "", *table(found, NEAREST), "", f"{case}: {verdict(found, NEAREST)}.", ""]
    lines.append(
        "Every class has the same number of pictures in the target, which ot and jdot assume and others don't: where "
        "the class shares are not known to be alike, expect less of these two."
    )
    return "\n".join(lines).strip()


def _draws(dataset: str, source: dict[str, str], target: dict[str, str], progress: bool) -> list[Pair]:
    here, there = (_features(dataset, where, progress) for where in (source, target))
    shared = [name for name in here.class_names if _has(here, name) and _has(there, name)]
    pairs = []
    for seed in range(DRAWS):
        order = torch.randperm(len(shared), generator=torch.Generator().manual_seed(seed))[:CLASSES]
        chosen = [shared[place] for place in order.tolist()]
        first, second = (side.select(classes=chosen) for side in (here, there))
        pairs.append(Pair(first.features, first.labels, second.features, second.labels))
    return pairs


def _has(side: EmbeddingTable, name: str) -> bool:
    return bool((side.labels == side.class_names.index(name)).any())


def _features(dataset: str, where: dict[str, str], progress: bool) -> EmbeddingTable:
    from fewshot.backbones import create_backbone
    from fewshot.embeddings import embed
    from fewshot.transfer.image_size import at_size
    from fewshot.transfer.per_class import some_of_each

    images = some_of_each(load_dataset(dataset).select(where=where), PHOTOS)
    backbone = at_size(create_backbone(BACKBONE, device="cpu"), SIDE)
    return embed(backbone, images, workers=0, progress=progress)


STUDY = Study(NAME, "Adaptation, pictures",
              "Does adapting ImageNet features from clean pictures to drawings and shop photos beat not adapting?",
              run, section)  # fmt: skip
