"""Recognition by an index on real pictures: one-shot accuracy by ways, rules, and rejection at a calibrated rate.

openmoji: the colour picture of an emoji is indexed, its line drawing is asked, up to all 4,464 pictures of the package;
Grocery Store: the product picture of each class, asked by photos in shops; Omniglot: one drawer's 1,623 characters,
asked by 3,000 drawings of the others. EfficientNet-Lite0 features. Writes benchmarks/findings/index_recognition.json.
Run with `uv run --extra offline python scripts/compare_recognition.py`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from recognition_data import DRAWINGS, Material, grocery_photos, materials

import fewshot
from fewshot.errors import InvalidInput
from fewshot.files import write_json
from fewshot.metrics import accuracy_interval
from fewshot.provenance import provenance
from fewshot.retrieval.recognition import Rule, calibrate
from fewshot.retrieval.recognition.learner import IndexLearner
from fewshot.retrieval.recognition.rules import Evidence

FOUND = Path(__file__).parent.parent / "benchmarks" / "findings" / "index_recognition.json"
SEED, DRAWS = 0, 10
WAYS = (5, 20, 100, 500, 1000, 1500)
RATES = (0.01, 0.05)
EVIDENCE: tuple[Evidence, ...] = ("score", "margin")
RULES = {"nearest item": Rule(), "vote of 5": Rule(k=5), "class mean": Rule("mean")}


@contextmanager
def indexed(features: np.ndarray, classes: np.ndarray) -> Iterator[fewshot.Index]:
    """An index of features under the names of their classes, for a while."""
    used, labels = np.unique(classes, return_inverse=True)
    ids = tuple(map(str, range(len(classes))))
    table = fewshot.EmbeddingTable(torch.from_numpy(features), torch.from_numpy(labels), tuple(map(str, used)), ids)
    with tempfile.TemporaryDirectory() as folder:
        yield fewshot.Index.build(table, Path(folder) / "index", index="Flat", progress=False)


def interval(values: list[float]) -> dict[str, float]:
    found = accuracy_interval(torch.tensor(values, dtype=torch.float64))
    return {"mean": found.mean, "ci95": found.half_width}


def by_ways(material: Material) -> list[dict[str, Any]]:
    """Accuracy with classes drawn at random among those that are asked, as the learner `index`."""
    random = np.random.default_rng(SEED)
    known = np.unique(material.answers)
    found = []
    for ways in (count for count in WAYS if count < len(known)):
        scores = []
        for _ in range(DRAWS):
            chosen = random.permutation(known)[:ways]
            number = np.full(material.classes.max() + 1, -1)
            number[chosen] = np.arange(ways)
            mine, asked = number[material.classes] >= 0, number[material.answers] >= 0
            labels = torch.from_numpy(number[material.classes[mine]])
            head = IndexLearner().fit(torch.from_numpy(material.items[mine])[None], labels[None], ways)
            said = head(torch.from_numpy(material.asked[asked])[None])[0].argmax(1).numpy()
            scores.append(float((said == number[material.answers[asked]]).mean()))
        found.append({"ways": ways, "draws": DRAWS, **interval(scores)})
    return found


def all_ways(material: Material) -> dict[str, Any]:
    """Everything indexed, by a real index: accuracy over the classes that are asked, times, and a class that comes."""
    with indexed(material.items, material.classes) as index:
        index.classify(material.asked[:2])
        start = perf_counter()
        said = [each.label for each in index.classify(material.asked)]
        seconds = perf_counter() - start
        right = np.array([label == str(answer) for label, answer in zip(said, material.answers, strict=True)])
        classes = np.unique(material.answers)
        accuracy = interval([float(right[material.answers == each].mean()) for each in classes])
        new = -material.items[:1]
        table = fewshot.EmbeddingTable(torch.from_numpy(new), torch.zeros(1, dtype=torch.long), ("new",), ("new",))
        start = perf_counter()
        index.add(table)
        added = perf_counter() - start
        assert index.classify(new[0]).label == "new"
        start = perf_counter()
        index.delete(keys=["new"])
        deleted = perf_counter() - start
        assert index.classify(new[0]).label != "new"
    return {
        "ways": len(np.unique(material.classes)),
        "items": len(material.items),
        "queries": len(said),
        "classes_asked": len(classes),
        "over_classes": accuracy,
        "ms_per_query": 1000 * seconds / len(said),
        "ms_to_add_a_class": 1000 * added,
        "ms_to_delete_it": 1000 * deleted,
    }


def rejection(material: Material, per: str, evidence: Evidence) -> list[dict[str, Any]]:
    """False and correct accepts with half of the classes in the index, over draws of which.

    `per` "class": half of the strangers' classes set the threshold, the others are tested. "picture": half of the
    pictures of all strangers. "index": the classes of the index, left out one by one.
    """
    random = np.random.default_rng(SEED)
    found: dict[float, list[tuple[float, float, float]]] = {rate: [] for rate in RATES}
    reasons: dict[float, str] = {}
    rule = Rule(evidence=evidence)
    for _ in range(DRAWS):
        classes = random.permutation(np.unique(material.answers))
        inside, outside = np.array_split(classes, 2)
        strange, known = np.isin(material.answers, outside), np.isin(material.answers, inside)
        setting = np.isin(material.answers, outside[: len(outside) // 2])
        if per == "picture":
            setting = strange & (random.random(len(strange)) < 0.5)
        test = strange if per == "index" else strange & ~setting
        names = [f"stranger {answer}" for answer in material.answers[setting]]
        mine = np.isin(material.classes, inside)
        with indexed(material.items[mine], material.classes[mine]) as index:
            for rate in RATES:
                try:
                    strangers = None if per == "index" else material.asked[setting]
                    at = calibrate(index, rate, rule, strangers, names if per == "class" else None)
                except InvalidInput as error:
                    reasons[rate] = str(error)
                    continue
                accepted = [each.accepted for each in index.classify(material.asked[test], rule=rule, reject_at=at)]
                told = index.classify(material.asked[known], rule=rule, reject_at=at)
                answers = material.answers[known].astype(str)
                right = [each.name == answer for each, answer in zip(told, answers, strict=True)]
                taken = max(1, sum(each.accepted for each in told))
                found[rate].append((float(np.mean(accepted)), float(np.mean(right)), sum(right) / taken))
    rows = []
    for rate, scores in found.items():
        row: dict[str, Any] = {"calibrated_on": per, "evidence": evidence, "asked": rate, "draws": DRAWS}
        measures = ("false_accepts", "correct_accepts", "right_of_accepted_known")
        columns = {name: interval(list(each)) for name, each in zip(measures, zip(*scores, strict=True), strict=False)}
        rows.append(row | (columns or {"refused": reasons[rate]}))
    return rows


def rules(table: fewshot.EmbeddingTable) -> list[dict[str, Any]]:
    """Photos in shops by photos in shops: rules by shots, over draws of the support."""
    features = torch.nn.functional.normalize(table.features.float(), dim=1)
    part = table.groups["part"]
    train, test = ((part.codes == part.names.index(name)).numpy() for name in ("train", "test"))
    labels, random = table.labels.numpy(), np.random.default_rng(SEED)
    rows = []
    for shots in (1, 5, 20):
        scores: dict[str, list[float]] = {name: [] for name in RULES}
        for _ in range(DRAWS):
            order = random.permutation(np.flatnonzero(train))
            support = np.concatenate([order[labels[order] == each][:shots] for each in np.unique(labels[order])])
            with indexed(features[support].numpy(), labels[support]) as index:
                for name, rule in RULES.items():
                    said = [each.label for each in index.classify(features[test].numpy(), rule=rule)]
                    scores[name].append(float(np.mean(np.array(said) == labels[test].astype(str))))
        rows += [{"shots": shots, "rule": name, "draws": DRAWS, **interval(each)} for name, each in scores.items()]
    return rows


def main() -> None:
    torch.set_num_threads(1)
    backbone = fewshot.create_backbone("timm:tf_efficientnet_lite0", device="cpu", precision="float32")
    content: dict[str, Any] = {
        "work": f"one-shot recognition by an exact index; Omniglot asked by {DRAWINGS} drawings; seed {SEED}",
        "seed": SEED,
        "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint, "precision": "float32"},
        "provenance": provenance(),
        "found": {},
    }
    for material in materials(backbone):
        start = perf_counter()
        found: dict[str, Any] = {"all": all_ways(material), "by_ways": [], "rejection": []}
        if len(material.items) == len(np.unique(material.classes)):
            found["by_ways"] = by_ways(material)
        for per in ("class", "picture", "index"):
            for evidence in EVIDENCE:
                found["rejection"] += rejection(material, per, evidence)
        content["found"][material.name] = found
        write_json(FOUND, content)
        print(material.name, found, f"{perf_counter() - start:.0f} s", flush=True)
    content["found"]["grocery-store photos"]["rules"] = rules(grocery_photos(backbone))
    write_json(FOUND, content)
    print(content["found"]["grocery-store photos"]["rules"])


if __name__ == "__main__":
    main()
