"""Time zero-shot and few-shot learning with words, side by side with open_clip and with plain loops over the draws.

Run with `uv run python benchmarks/zeroshot.py [PART ...]`, parts as in `PARTS`. Ratios are times over the first way of
each work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import open_clip
import torch
import words_peers
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from timing import RESULTS, keep, side_by_side
from torch import Tensor
from torch.nn.functional import normalize

import fewshot
from fewshot.learners import Words
from fewshot.learners.vision_language.ape import products_between_classes
from fewshot.zeroshot.text_classifier import build_words

MODEL, CLASSES = "ViT-B-32", 4
DRAWS, QUERIES = 10, 200
TRAINING_FREE = ("zero-shot", "gda", "tip-adapter", "ape", "tda")
TRANSDUCTIVE = ("transclip", "zlap", "em-dirichlet-clip")
TRAINED = ("tip-adapter-f", "ape-t", "zs-lp", "clap", "taskres", "clip-adapter", "cross-modal-lp")
# sixteen methods; those that are trained, for a few steps, since all steps of a method cost the same (`cut` tells)
SETTINGS: dict[str, dict[str, Any]] = {name: {} for name in TRAINING_FREE} | {name: {"epochs": 2} for name in TRAINED}
SETTINGS |= {"lp++": {"steps": 10, "every": 10}} | {name: {} for name in TRANSDUCTIVE}
SETTINGS["em-dirichlet-clip"] = {"steps": 2}  # each of which solves for a million numbers a draw
Measured = Iterator[tuple[str, dict[str, Any]]]


def draws_of(ways: int, shots: int, dim: int, draws: int = DRAWS) -> dict[str, Any]:
    """Features of length 1 around class vectors, of which the words know something."""
    draw = torch.Generator().manual_seed(0)
    means = torch.randn(ways, dim, generator=draw)
    labels = torch.arange(ways).repeat_interleave(shots)

    def around(rows: Tensor, spread: float) -> Tensor:
        return normalize(means[rows] + spread * torch.randn(*rows.shape, dim, generator=draw), dim=-1)

    return {
        "support": around(labels.expand(draws, -1), 2.0),
        "labels": labels.expand(draws, -1),
        "query": around(torch.randint(ways, (draws, QUERIES), generator=draw), 2.0),
        "words": Words(around(torch.arange(ways), 3.0), scale=100.0),
        "ways": ways,
    }


@torch.inference_mode()
def together(learner: fewshot.Learner, tasks: dict[str, Any]) -> Tensor:
    head = learner.fit(tasks["support"], tasks["labels"], tasks["ways"], words=tasks["words"])
    return head(tasks["query"])


def one_by_one(learner: fewshot.Learner, tasks: dict[str, Any]) -> Tensor:
    parts = zip(*(tasks[name].split(1) for name in ("support", "labels", "query")), strict=True)
    names = ("support", "labels", "query")
    return torch.cat([together(learner, {**tasks, **dict(zip(names, part, strict=True))}) for part in parts])


def text_classifier() -> dict[str, Any]:
    """The class vectors of a few classes by 80 templates, by a text tower of the usual size with random weights."""
    backbone = fewshot.create_backbone(f"open_clip:{MODEL}", pretrained=False, precision="float32", device="cpu")
    names, templates = IMAGENET_CLASSNAMES[:CLASSES], OPENAI_IMAGENET_TEMPLATES
    tokenizer = open_clip.get_tokenizer(MODEL)

    def theirs() -> Tensor:
        return open_clip.build_zero_shot_classifier(backbone.joint, tokenizer, names, templates).T

    def ours() -> Tensor:
        return build_words(backbone, names, "imagenet", cache=False, progress=False).vectors

    print("  largest difference:", float((theirs() - ours()).abs().max()))
    return side_by_side({"build_words": ours, "open_clip.build_zero_shot_classifier": theirs}, rounds=3)


def all_draws(name: str, tasks: dict[str, Any], rounds: int = 1) -> dict[str, Any]:
    learner = fewshot.create_learner(name, **SETTINGS[name])
    found, alone = together(learner, tasks), one_by_one(learner, tasks)
    print(f"  {name}: largest difference {float((found.softmax(2) - alone.softmax(2)).abs().max()):.1e}")
    ways = {
        "all draws at once": partial(together, learner, tasks),
        "one draw at a time": partial(one_by_one, learner, tasks),
    }
    return side_by_side(ways, rounds)


def against_loops(tasks: dict[str, Any], steps: int) -> dict[str, dict[str, Any]]:
    """Training alone, for so many epochs (LP++: steps): ours for all draws, theirs draw by draw."""
    text, scale = tasks["words"].vectors, tasks["words"].scale
    loops: dict[str, tuple[dict[str, int], Callable[[Tensor, Tensor], Tensor]]] = {
        "tip-adapter-f": (
            {"epochs": 20},
            lambda features, labels: words_peers.tip_adapter_f(features, labels, text, scale, epochs=20),
        ),
        "lp++": (
            {"steps": steps},
            lambda features, labels: words_peers.lp_plus_plus(features, labels, text, steps=steps),
        ),
        "clap": (
            {"epochs": steps},
            lambda features, labels: words_peers.clap(features, labels, text, scale, epochs=steps),
        ),
    }
    measured = {}
    for name, (settings, loop) in loops.items():
        learner = fewshot.create_learner(name, **settings)

        def ours(learner: fewshot.Learner = learner) -> None:
            with torch.inference_mode():
                learner.fit(tasks["support"], tasks["labels"], tasks["ways"], words=tasks["words"])

        def theirs(loop: Callable = loop) -> None:
            for features, labels in zip(tasks["support"], tasks["labels"], strict=True):
                loop(features, labels)

        measured[name] = side_by_side({"fewshot, all draws": ours, "a loop over the draws": theirs}, rounds=2)
    return measured


def shape(ways: int, shots: int, dim: int) -> str:
    return f"{DRAWS} draws, {ways} classes, {shots} shots, {dim} dimensions"


def words_of_classes() -> Measured:
    yield f"text classifier, {CLASSES} classes by 80 templates, text tower of {MODEL}", text_classifier()


def training() -> Measured:
    for ways, shots, dim, steps in ((20, 4, 512, 300), (100, 4, 512, 300), (100, 16, 1024, 60)):
        for name, found in against_loops(draws_of(ways, shots, dim), steps).items():
            told = "20 epochs" if name == "tip-adapter-f" else f"{steps} steps" if name == "lp++" else f"{steps} epochs"
            yield f"{name} training, {told}, {shape(ways, shots, dim)}", found


def closed_forms() -> Measured:
    whole = draws_of(1000, 16, 1024, draws=1)
    gda = fewshot.create_learner("gda")
    yield (
        "gda, one draw, 1,000 classes, 16 shots, 1,024 dimensions",
        side_by_side({"fit": lambda: gda.fit(whole["support"], whole["labels"], 1000, words=whole["words"])}, rounds=5),
    )
    few = draws_of(100, 4, 512, draws=1)
    text, features, labels = few["words"].vectors, few["support"], few["labels"]
    present = torch.ones(1, 100, dtype=torch.bool)
    ways = {
        "closed form": lambda: products_between_classes(text[None], present, features, labels),
        "all pairs of classes": lambda: words_peers.channel_products(text, features[0], labels[0]),
    }
    yield "products between classes of ape, 100 classes, 4 shots, 512 dimensions", side_by_side(ways, rounds=3)


def draws_together() -> Measured:
    large = draws_of(1000, 1, 1024)
    for name in SETTINGS:
        yield f"{name}{cut(name)}, {shape(1000, 1, 1024)}", all_draws(name, large)


def cut(name: str) -> str:
    """How much of its training a method is timed with, where that is not all of it."""
    usual = fewshot.create_learner(name)
    told = [f"{value} of {getattr(usual, key)} {key}" for key, value in SETTINGS[name].items() if key != "every"]
    return "".join(f", {each}" for each in told)


PARTS = {part.__name__: part for part in (words_of_classes, training, closed_forms, draws_together)}


def main() -> None:
    """Run the parts named on the command line, or all; what was measured of the others stays in the results."""
    torch.manual_seed(0)
    kept = RESULTS / "zeroshot.json"
    measurements = json.loads(kept.read_text())["measurements"] if kept.exists() else {}
    for part in sys.argv[1:] or PARTS:
        for title, found in PARTS[part]():
            measurements[title] = found
            work = "Text classifiers, and learners with words on random features"
            keep("zeroshot", {"work": work, "measurements": measurements}, {title: found})


if __name__ == "__main__":
    main()
