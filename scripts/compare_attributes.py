"""Every attribute method on real images with real attributes: the CIFAR-FS animals that have a row in AwA2's table.

Eighteen animals, EfficientNet-Lite0 features, ten random splits into thirteen seen and five unseen classes; four of the
seen ones are the validation classes that pick the gamma of calibrated stacking and, in the mode `full`, the settings.
Beside them the sentence vectors of the class names, in place of attributes. Writes benchmarks/findings/attributes.json.
Run with `uv run --extra offline python scripts/compare_attributes.py`.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

import fewshot
from fewshot.backbones import create_text_encoder
from fewshot.embeddings.table import EmbeddingTable, concatenate
from fewshot.files import write_json
from fewshot.metrics import accuracy_interval
from fewshot.provenance import provenance
from fewshot.zeroshot.attributes import (
    AttributeMethod,
    calibrate,
    create_attribute_method,
    evaluate_attributes,
    list_attribute_methods,
    load_attributes,
)

# the CIFAR-100 classes that AwA2 has; left out are those that could be two of its classes (bear, whale)
ANIMALS = [
    *("beaver", "cattle", "chimpanzee", "dolphin", "elephant", "fox", "hamster", "leopard", "lion", "mouse", "otter"),
    *("rabbit", "raccoon", "seal", "skunk", "squirrel", "tiger", "wolf"),
]
OTHER_NAMES = {"cattle": "cow"}
SPLITS, UNSEEN, VALIDATION, HELD_OUT = 10, 5, 4, 0.2

# what validation chooses from in the mode `full`
SCALING = ("l2", "centre+l2")
GRIDS: dict[str, dict[str, tuple]] = {
    "ale": {"features": SCALING, "rate": (0.1, 1.0)},
    "conse": {"features": SCALING, "C": (1.0, 10.0)},
    "dap": {"features": SCALING},
    "devise": {"features": SCALING, "rate": (0.1, 1.0)},
    "eszsl": {
        "features": SCALING,
        "attributes": SCALING,
        "feature_penalty": (1.0, 10.0),
        "attribute_penalty": (0.1, 1.0),
    },
    "iap": {"features": SCALING, "C": (1.0, 10.0)},
    "sae": {"features": SCALING, "encoding": (0.1, 1.0, 10.0)},
    "sje": {"features": SCALING, "rate": (0.1, 1.0)},
}
FOUND = Path(__file__).parent.parent / "benchmarks" / "findings" / "attributes.json"


class Split(NamedTuple):
    """One draw: classes and items, as places in the table."""

    seen: Tensor  # (C,) bool
    validation: Tensor  # (V,) classes
    learned: Tensor  # (N,) bool: items to learn from


def animals() -> tuple[EmbeddingTable, dict[str, Tensor]]:
    """Features and labels of the animals, and three descriptions: AwA2's attributes, the same as 0 and 1, and names."""
    backbone = fewshot.create_backbone("timm:tf_efficientnet_lite0", precision="float32")
    parts = [fewshot.embed(backbone, fewshot.load_dataset("cifar-fs", split=name)) for name in ("train", "val", "test")]
    table = concatenate(parts).select(classes=ANIMALS)
    awa2 = load_attributes("awa2")
    rows = awa2.rows([OTHER_NAMES.get(name, name) for name in ANIMALS])
    names = create_text_encoder("sentence:all-MiniLM-L6-v2", precision="float32")(ANIMALS).cpu()
    return table, {"attributes": awa2.attributes[rows], "binary": awa2.binary()[rows], "names": names}


def draw(labels: Tensor, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(ANIMALS), generator=generator)
    seen = torch.ones(len(ANIMALS), dtype=torch.bool)
    seen[order[:UNSEEN]] = False
    kept = torch.rand(len(labels), generator=generator) >= HELD_OUT
    return Split(seen, order[UNSEEN : UNSEEN + VALIDATION], seen[labels] & kept)


def settings_of(name: str) -> Iterator[AttributeMethod]:
    grid = GRIDS[name]
    for values in product(*grid.values()):
        yield create_attribute_method(name, **dict(zip(grid, values, strict=True)))


def score(table: EmbeddingTable, attributes: Tensor, split: Split, methods: list[AttributeMethod]) -> dict:
    """The test scores of the method that validation likes best, without and with its gamma."""
    features, labels = table.features[split.learned], table.labels[split.learned]
    number = split.seen.cumsum(0) - 1
    rows = attributes[split.seen]
    tried = []
    for method in methods:
        gamma, curve = calibrate(method, features, number[labels], rows, number[split.validation])
        tried.append((curve.area, gamma, method))
    _, gamma, method = max(tried, key=lambda found: found[0])
    model = method.fit(features, number[labels], rows)
    test = ~split.learned
    raw, stacked = (
        evaluate_attributes(model, table.features[test], table.labels[test], attributes, split.seen, value)
        for value in (0.0, gamma)
    )
    return {
        **{key: raw.to_json()[key] for key in ("zero_shot", "seen", "unseen", "harmonic", "area")},
        **{f"stacked_{key}": stacked.to_json()[key] for key in ("seen", "unseen", "harmonic")},
    }


def measure(table: EmbeddingTable, attributes: Tensor, methods: list[AttributeMethod]) -> dict:
    """Means over the splits with their interval, and every split's numbers."""
    per_split = [score(table, attributes, draw(table.labels, seed), methods) for seed in range(SPLITS)]
    scores = {}
    for key in per_split[0]:
        interval = accuracy_interval(torch.tensor([found[key] for found in per_split]))
        scores[key] = {"mean": interval.mean, "ci95": interval.half_width}
    return {"scores": scores, "per_split": per_split}


def main() -> None:
    table, descriptions = animals()
    content: dict = {
        "work": f"{len(ANIMALS)} animals of CIFAR-FS, {len(table)} images, {SPLITS} splits, {UNSEEN} unseen classes",
        "classes": ANIMALS,
        "seeds": list(range(SPLITS)),
        "grids": GRIDS,
        "backbone": {"name": "timm:tf_efficientnet_lite0", "fingerprint": table.backbone, "precision": "float32"},
        "provenance": provenance(),
        "found": [],
    }
    for words, tuning in (("attributes", "none"), ("names", "none"), ("attributes", "full")):
        for name in list_attribute_methods():
            default = create_attribute_method(name)
            if default.binary and words == "names":
                continue
            start = perf_counter()
            methods = [default] if tuning == "none" else list(settings_of(name))
            found = measure(table, descriptions["binary" if default.binary else words], methods)
            content["found"].append({"method": name, "words": words, "tuning": tuning, **found})
            write_json(FOUND, content)
            scores = found["scores"].items()
            told = ", ".join(f"{key} {100 * at['mean']:.1f} ± {100 * at['ci95']:.1f}" for key, at in scores)
            print(f"{name:<7} {words} {tuning} {told} ({perf_counter() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
