"""Is deeper better, and do shallower layers suit data that are far from what the network was trained on?"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from fewshot.progress import progress_bar
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import INDUCTIVE
from fewshot.transfer.studies.few_images import ordered_cases, table, tests_against, told
from fewshot.transfer.studies.study import Study

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

NAME = "layers"
BACKBONE = "timm:tf_efficientnet_lite0"
CLASSES, IMAGES, SHOTS, DRAWS = 20, 15, 5, 10
PHOTOS, DRAWN = ("caltech101", "grocery-store", "cifar-fs"), ("omniglot", "mnist")
ONE, BLEND = "best one, held out", "best blend, held out"


def dataset_of(name: str) -> Dataset:
    """Up to twenty classes of fifteen images, always the same."""
    import torch

    from fewshot.datasets import load_dataset
    from fewshot.transfer.layers import places_in_class

    if name == "mnist":
        dataset = load_dataset("mnist-usps").select(where={"domain": "mnist"})
    else:
        dataset = load_dataset(name, split="test" if name == "cifar-fs" else "all")
    large = (dataset.class_counts >= IMAGES).nonzero().flatten()
    order = torch.randperm(len(large), generator=torch.Generator().manual_seed(0))[:CLASSES]
    chosen = dataset.select(classes=large[order].tolist())
    return chosen.select(indices=places_in_class(chosen.labels, 0) < IMAGES)


def run(store: TransferStore, progress: bool) -> None:
    """Every layer of a network on each data set: five shots, ten draws."""
    from fewshot.transfer.layers import compare_layers, layer_extractor, shot_splits

    missing = [name for name in (*PHOTOS, *DRAWN) if not store.has(NAME, name, BLEND)]
    if not missing:
        return
    extractor = layer_extractor(BACKBONE)
    with progress_bar(NAME, len(missing), show=progress) as advance:
        for name in missing:
            started, dataset = perf_counter(), dataset_of(name)
            features, data = extractor.embed(dataset, progress=False)
            found = compare_layers(features, data.labels, shot_splits(data.labels, SHOTS, DRAWS))
            seconds = round(perf_counter() - started, 2)
            more: dict[str, dict[str, Any]] = {
                ONE: {"chosen": found.singles},
                BLEND: {"chosen": found.blends, "advice": found.advice},
            }
            for method, draws in {**found.accuracies, ONE: found.single, BLEND: found.blend}.items():
                facts = {"dataset": name, "shots": SHOTS, "ways": len(dataset.class_names), "images": len(dataset),
                         "backbone": BACKBONE, "fingerprint": extractor.backbone.fingerprint}  # fmt: skip
                store.save(
                    TransferResult(
                        NAME, name, method, INDUCTIVE, draws, data=facts, seconds=seconds, more=more.get(method, {})
                    )
                )
            advance(1, name)


def section(results: Sequence[TransferResult]) -> str:
    """The table by data set, the best layer of each, and what a blend gains."""
    if not results:
        return "Nothing is measured yet."
    layers = [method for method in _in_depth_order(results) if method not in (ONE, BLEND)]
    lines = table(results, [*layers, ONE, BLEND])
    deepest = layers[-1]
    for case in ordered_cases(results):
        own = {result.method: result for result in results if result.case == case}
        best = max((layer for layer in layers if layer in own), key=lambda layer: own[layer].interval.mean)
        kind = "photos" if case in PHOTOS else "drawn, far from ImageNet"
        line = f"- {case} ({kind}): {best} has the highest mean"
        for method, name in ((ONE, "one layer, chosen on held-out items"), (BLEND, "a blend, so chosen")):
            if method in own and deepest in own:
                line += f"; {name}: {told(tests_against(list(own.values()), method, deepest)[case])} over {deepest}"
        lines.append(line + ".")
    return "\n".join(lines)


def _in_depth_order(results: Sequence[TransferResult]) -> list[str]:
    """By name, which for these layers is by depth: blocks by number, then the output."""
    return sorted({result.method for result in results})


STUDY = Study(
    NAME,
    "Depth of features",
    "Is deeper better, and are shallower layers better where the domain is far?",
    run,
    section,
)
