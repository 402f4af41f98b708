"""The rules of `fewshot classify` against their alternatives: which learner for how many images a class, and words.

Caltech-101 and CIFAR-FS's test classes are what the rules are chosen on; Grocery Store and every fifth emoji of
OpenMoji (learned in colour, tested as a drawing) are only reported. A third of each class is tested, supports are drawn
from the rest ten times. Features come from EfficientNet-Lite0, words from its bridge to MiniLM, joined in different
ways. Writes benchmarks/findings/classify_rules.json, where it goes on after a stop.
Run with `uv run --extra offline python scripts/compare_classify_rules.py`.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

import fewshot
from fewshot.backbones.bridge import fit_bridge
from fewshot.backbones.bridge.fitting import DEFAULT_WAY
from fewshot.benchmark.pools import share_of_each_class
from fewshot.classify import choose_method
from fewshot.embeddings import EmbeddingTable
from fewshot.episodes import SplitSampler
from fewshot.files import read_json, write_json
from fewshot.learners import Words, evaluate, parse_learner
from fewshot.provenance import provenance
from fewshot.zeroshot.text_classifier import build_words

IMAGES, TEXTS, BRIDGE = "timm:tf_efficientnet_lite0", "sentence:all-MiniLM-L6-v2", "bridge:lite0-minilm"
CHOSEN_ON, REPORTED = ("caltech101", "cifar-fs test"), ("grocery-store", "openmoji-small")
SHOTS, DRAWS, POOL = (0, 1, 2, 4, 8, 16), 10, Fraction(2, 3)
# the ways to join whose words are tried, and the learners in the space of each; the default keeps the image features
NAMES_ALONE = (DEFAULT_WAY, "asif", "conse", "neighbours", "ridge")
WITH_IMAGES = {DEFAULT_WAY: ("gda", "lp++", "clip-adapter", "clap"), "neighbours": ("lp++",)}
# what is tried up to so many images alone: slow, or clearly behind another by then
LIMITS = {
    ("neighbours", "lp++"): 2,
    (DEFAULT_WAY, "clap"): 4,
    (DEFAULT_WAY, "clip-adapter"): 1,
    (DEFAULT_WAY, "matching"): 4,
    (DEFAULT_WAY, "logistic"): 4,
}
WITHOUT_WORDS = ("matching", "ridge", "logistic", "linear-probe")
FOUND = Path(__file__).parent.parent / "benchmarks" / "findings" / "classify_rules.json"


class Work(NamedTuple):
    """Features of a data set, and which of its items supports are drawn from (N,)."""

    table: EmbeddingTable
    pool: Tensor


def load(name: str) -> Work:
    """The features of a data set, as the image tower makes them."""
    backbone = fewshot.create_backbone(IMAGES, precision="float32")
    dataset, _, split = name.partition(" ")
    table = fewshot.embed(backbone, fewshot.load_dataset(dataset, split=split or "all"))
    if name == "grocery-store":
        table = table.select(where={"domain": "photo"})
    if name == "openmoji-small":
        domains = table.groups["domain"]
        return Work(table, torch.tensor([domains.names[value] == "color" for value in domains.codes.tolist()]))
    return Work(table, share_of_each_class(table.labels, POOL))


def joined(table: EmbeddingTable, how: str) -> tuple[EmbeddingTable, Words]:
    """The features in the space of a way to join, and the words of the classes there."""
    with torch.no_grad():
        features = fit_bridge(IMAGES, TEXTS, how).join.image(table.features)
    backbone = fewshot.create_backbone(f"{BRIDGE}/{how}", precision="float32")
    return replace(table, features=features, backbone=backbone.fingerprint), build_words(
        backbone, table.class_names, progress=False
    )


def mark(how: str) -> str:
    """The fingerprint of a way to join, by which results that were found with an earlier one are told."""
    return fewshot.create_backbone(f"{BRIDGE}/{how}", precision="float32").fingerprint


def attempts(shots: int) -> Iterator[tuple[str, str, bool]]:
    """Ways to join, learners, and whether words are used."""
    if not shots:
        yield from ((how, "zero-shot", True) for how in NAMES_ALONE)
        return
    for how, learners in WITH_IMAGES.items():
        yield from ((how, learner, True) for learner in learners if shots <= LIMITS.get((how, learner), shots))
    for learner in WITHOUT_WORDS:
        if shots <= LIMITS.get((DEFAULT_WAY, learner), shots):
            yield DEFAULT_WAY, learner, False


def main() -> None:
    content: dict = {
        "work": f"{DRAWS} draws of the support, tested on the same third of each class",
        "chosen_on": list(CHOSEN_ON),
        "reported": list(REPORTED),
        "default_join": DEFAULT_WAY,
        "backbone": {"image": IMAGES, "bridge": BRIDGE, "precision": "float32", "templates": "simple"},
        "seed": 0,
        "provenance": provenance(),
        "found": [],
    }
    if FOUND.exists():
        marks = {how: mark(how) for how in NAMES_ALONE}
        content["found"] = [row for row in read_json(FOUND)["found"] if row["fingerprint"] == marks[row["join"]]]
    done = {(row["dataset"], row["shots"], row["join"], row["learner"]) for row in content["found"]}
    works = {name: load(name) for name in CHOSEN_ON + REPORTED}
    spaces: dict[tuple[str, str], tuple[EmbeddingTable, Words]] = {}
    # what is slow comes last of its number of images, so that a run that is stopped leaves as much as it can
    tasks = [(shots, name, *each) for shots in SHOTS for name in works for each in attempts(shots)]
    for shots, name, how, learner, with_words in sorted(tasks, key=lambda task: (task[0], task[3] == "linear-probe")):
        if (name, shots, how, learner) in done or (name == "openmoji-small" and shots > 1):  # one colour picture each
            continue
        if (name, how) not in spaces:
            spaces[name, how] = joined(works[name].table, how)
        table, words = spaces[name, how]
        pool = works[name].pool
        sampler = SplitSampler(table.labels, pool, ~pool, shots=shots, strict=True)
        episodes = sampler.sample(DRAWS if shots and name != "openmoji-small" else 2)
        start = perf_counter()
        found = evaluate(parse_learner(learner), table, episodes, words=words if with_words else None)
        row = {
            "dataset": name,
            "shots": shots,
            "join": how,
            "fingerprint": table.backbone,
            "learner": learner,
            "words": with_words,
            "accuracy": round(found.accuracy, 5),
            "ci95": round(found.ci95, 5),
            "draws": [round(value, 5) for value in found.per_episode.tolist()],
            "classes": len(table.class_names),
            "seconds": round(perf_counter() - start, 1),
        }
        content["found"].append(row)
        write_json(FOUND, content)
        print(f"{name} {shots} {how} {learner} {100 * found.accuracy:.2f} ({row['seconds']} s)", flush=True)
    print({(words, shots): choose_method(shots, words).learner for words in (True, False) for shots in SHOTS[1:]})


if __name__ == "__main__":
    main()
