"""Every way to join an image backbone to a sentence encoder, on real images by the names of their classes alone.

EfficientNet-Lite0 and all-MiniLM-L6-v2. Without images: each way is fitted on the 1,000 ImageNet class names and the
rows of the classifier, and classifies Caltech-101, the test classes of CIFAR-FS and Grocery Store; settings and
templates were looked at on the 80 train and validation classes of CIFAR-FS, and those of kernel on seen emoji too.
With images: on openmoji, five times, 300 classes at random are unseen and the colour pictures and names of the others
are the pairs; penalties are chosen by a fifth of these. Then, what each space leaves to learners that see a few images.
Writes benchmarks/findings/bridges.json. Run with `uv run --extra offline python scripts/compare_bridges.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

import fewshot
from fewshot.backbones.bridge import WAYS
from fewshot.backbones.bridge.class_words import class_vectors
from fewshot.backbones.bridge.halves import image_half, text_half
from fewshot.backbones.bridge.join import Join
from fewshot.backbones.bridge.pairs import Pairs, from_classifier
from fewshot.backbones.vector_cache import cached
from fewshot.embeddings.table import EmbeddingTable, concatenate
from fewshot.files import write_json
from fewshot.fingerprint import fingerprint
from fewshot.learners.words import Words
from fewshot.metrics import accuracy_interval, paired_test
from fewshot.provenance import provenance
from fewshot.zeroshot import ZeroShotResult, score_words, template_set
from fewshot.zeroshot.prompts import class_prompts

IMAGE, TEXT = "timm:tf_efficientnet_lite0", "sentence:all-MiniLM-L6-v2"
FOUND = Path(__file__).parent.parent / "benchmarks" / "findings" / "bridges.json"
TEMPLATES = ("name", "simple", "imagenet-simple", "imagenet")
DEFAULT_TEMPLATES = "simple"
CHOICE_EACH = 15  # images of each class that settings are chosen by
# what is tried on the classes that settings are chosen by, beside the defaults; each setting by itself
TRIED: dict[str, list[dict[str, Any]]] = {
    "asif": [{"k": k} for k in (30, 300)] + [{"power": power} for power in (1.0, 2.0, 4.0)],
    "conse": [{"k": k} for k in (3, 30, 1000)],
    "contrastive": [{"steps": 100}, {"steps": 1000}, {"weight_decay": 1.0}, {"dim": 384}],
    "devise": [{"margin": 0.03}, {"margin": 0.3}, {"steps": 100}, {"rate": 0.01}],
    "kernel": [{"sharpness": sharpness} for sharpness in (3.0, 8.0)] + [{"penalty": each} for each in (0.1, 1.0, 3.0)],
    "neighbours": [{"sharpness": sharpness} for sharpness in (20.0, 30.0, 60.0)],
    "ridge": [{"penalty": penalty} for penalty in (0.3, 3.0, 10.0)] + [{"direction": "image-to-text"}],
}
# pairs of (way, what is said) whose difference over classes is told
COMPARED = [
    *(
        (name, ("kernel", "simple"), (other, "simple"))
        for name in ("caltech101", "cifar-fs", "grocery-store")
        for other in ("neighbours", "conse", "ridge")
    ),
    *(("grocery-store", ("kernel", said), ("kernel", "name")) for said in ("descriptions", "name + descriptions")),
]
SPLITS, UNSEEN = 5, 300
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
EPISODES = 600


@dataclass(frozen=True)
class Task:
    """Image features of the tower with their labels, and what is said of each class, by the name of the saying."""

    table: EmbeddingTable
    prompts: dict[str, dict[str, list[str]]]

    @property
    def texts(self) -> list[str]:
        """All prompts."""
        return [text for said in self.prompts.values() for prompts in said.values() for text in prompts]


def task(name: str, split: str, templates: tuple[str, ...], each: int | None = None) -> Task:
    """A data set to classify; `each` keeps the first images of every class."""
    dataset = fewshot.load_dataset(name, split=split)
    if name == "openmoji":
        dataset = dataset.select(where={"domain": "color"})
    if each:
        rows = [(dataset.labels == label).nonzero()[:each, 0] for label in range(len(dataset.class_names))]
        dataset = dataset.select(torch.cat(rows))
    said = {kind: class_prompts(dataset.class_names, template_set(kind)) for kind in templates}
    if dataset.class_descriptions:
        described = dataset.class_descriptions
        said["descriptions"] = class_prompts(dataset.class_names, template_set(None), described)
        for kind in ("name", "simple"):
            said[f"{kind} + descriptions"] = class_prompts(dataset.class_names, template_set(kind), described)
    backbone = fewshot.create_backbone(IMAGE, precision="float32")
    return Task(fewshot.embed(backbone, dataset), said)


def encode(tasks: list[Task]) -> dict[str, Tensor]:
    """The vector of each text, by the sentence encoder alone; kept on disk."""
    texts = sorted({text for each in tasks for text in each.texts})
    half = text_half(TEXT)
    vectors = cached(fingerprint(half.fingerprint, texts), lambda: {"vectors": half.encode(texts).cpu()})["vectors"]
    return dict(zip(texts, vectors, strict=True))


def judge(join: Join, given: Task, kind: str, vectors: dict[str, Tensor]) -> ZeroShotResult:
    """The task classified by one saying."""
    prompts = given.prompts[kind]
    means = []
    for texts in prompts.values():
        mapped = normalize(join.text(torch.stack([vectors[text] for text in texts])), dim=1)
        means.append(normalize(mapped.mean(0), dim=0))
    words = Words(torch.stack(means), given.table.class_names)
    return score_words(words, replace(given.table, features=join.image(given.table.features)))


def score(join: Join, given: Task, kind: str, vectors: dict[str, Tensor]) -> dict[str, Any]:
    """Top-1 and top-5 over items, and the mean of the classes' accuracies with its t-interval over classes."""
    result = judge(join, given, kind, vectors)
    assert result.top5 is not None
    recall = result.class_recall
    return {
        "top1": result.top1.mean,
        "top5": result.top5.mean,
        "class_mean": recall.mean,
        "ci95": recall.half_width,
        "classes": recall.count,
        "items": result.top1.count,
    }


def centred(given: Task) -> Task:
    """The same images less the mean of them all: what a set of unlabelled images would add, which one image has not."""
    features = given.table.features
    return replace(given, table=replace(given.table, features=features - features.mean(0)))


def fitted(pairs: Pairs, how: str, settings: dict[str, Any]) -> Join:
    return WAYS[how](pairs, **settings).to(torch.float32)


def tried() -> Iterator[tuple[str, dict[str, Any]]]:
    for how in WAYS:
        yield how, {}
        for settings in TRIED[how]:
            yield how, settings


def without_images(pairs: Pairs, content: dict[str, Any]) -> None:
    """Fill in what was looked at to choose, and then what the defaults reach on the three data sets."""
    choice = join_tasks([task("cifar-fs", split, TEMPLATES, CHOICE_EACH) for split in ("train", "val")])
    tests = {
        name: task(name, split, TEMPLATES)
        for name, split in (("caltech101", "all"), ("cifar-fs", "test"), ("grocery-store", "all"))
    }
    vectors = encode([choice, *tests.values()])
    for how, settings in tried():
        start = perf_counter()
        join = fitted(pairs, how, settings)
        kinds = TEMPLATES if not settings else (DEFAULT_TEMPLATES,)
        for kind in kinds:
            found = score(join, choice, kind, vectors)
            content["choice"].append({"how": how, "settings": settings, "templates": kind, **found})
        if settings and settings != {"direction": "image-to-text"}:
            continue
        for name, given in tests.items():
            for kind in given.prompts:
                found = score(join, given, kind, vectors)
                content["names"].append({"dataset": name, "how": how, "settings": settings, "templates": kind, **found})
        if how in ("kernel", "ridge") and not settings:
            content["centred"] += [
                {"dataset": name, "how": how, **score(join, centred(given), "simple", vectors)}
                for name, given in tests.items()
            ]
        write_json(FOUND, content)
        print(f"{how} {settings} ({perf_counter() - start:.0f} s)", flush=True)
    content["paired"] += compare(pairs, tests, vectors)


def compare(pairs: Pairs, tests: dict[str, Task], vectors: dict[str, Tensor]) -> Iterator[dict[str, Any]]:
    """The default way against others, and descriptions against names: differences of the classes' accuracies."""
    for name, (how, kind), (other, said) in COMPARED:
        one, two = (
            judge(fitted(pairs, way, {}), tests[name], words, vectors).recalls
            for way, words in ((how, kind), (other, said))
        )
        found = paired_test(one, two)
        yield {
            "dataset": name,
            "ways": [[how, kind], [other, said]],
            "difference": found.difference.mean,
            "ci95": found.difference.half_width,
            "p": found.p_value,
        }


def join_tasks(tasks: list[Task]) -> Task:
    kinds = tasks[0].prompts
    prompts = {kind: {name: said for each in tasks for name, said in each.prompts[kind].items()} for kind in kinds}
    return Task(concatenate([each.table for each in tasks]), prompts)


def with_images(own: Pairs, content: dict[str, Any]) -> None:
    """openmoji: unseen emoji by name, from pairs of seen pictures and names, and without any pair."""
    given = task("openmoji", "all", ("name", "simple"))
    vectors = encode([given])
    names = given.table.class_names
    text = normalize(torch.stack([vectors[given.prompts["name"][name][0]] for name in names]), dim=1)
    features = given.table.features[given.table.labels.argsort()]
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(SPLITS):
        order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed))
        unseen, seen = order[:UNSEEN], order[UNSEEN:]
        pairs = Pairs(features[seen].double(), text[seen].double())
        penalties = {how: best_penalty(pairs, how) for how in ("kernel", "ridge")}
        content["openmoji_penalties"].append(penalties)
        ways: dict[str, Join] = {
            **{f"{how}, no pictures": fitted(own, how, {}) for how in ("conse", "kernel", "neighbours", "ridge")},
            **{how: fitted(pairs, how, {}) for how in ("asif", "contrastive", "devise", "kernel", "ridge")},
            **{f"{how}, penalty chosen": fitted(pairs, how, {"penalty": each}) for how, each in penalties.items()},
            "ridge, image-to-text": fitted(pairs, "ridge", {"direction": "image-to-text"}),
        }
        for way, join in ways.items():
            for kind in ("name", "simple"):
                asked = torch.stack([vectors[given.prompts[kind][names[place]][0]] for place in unseen.tolist()])
                found = top(join.image(features[unseen]), join.text(asked))
                rows.setdefault(f"{way}/{kind}", []).append(found)
        print(f"openmoji {seed}", flush=True)
    for key, splits in rows.items():
        way, kind = key.split("/")
        scores = {each: accuracy_interval(torch.tensor([found[each] for found in splits])) for each in ("top1", "top5")}
        entry = {each: {"mean": over.mean, "ci95": over.half_width} for each, over in scores.items()}
        content["openmoji"].append({"how": way, "templates": kind, **entry, "per_split": splits})
    write_json(FOUND, content)


def best_penalty(pairs: Pairs, how: str) -> float:
    """The penalty with the best top-5 on every fifth pair, fitted on the others."""
    held = torch.arange(len(pairs.features)) % 5 == 0
    learned, asked = pairs.select((~held).nonzero()[:, 0]), pairs.select(held.nonzero()[:, 0])
    scores = {}
    for penalty in PENALTIES:
        join = WAYS[how](learned, penalty=penalty)
        scores[penalty] = top(join.image(asked.features), join.text(asked.vectors))["top5"]
    return max(scores, key=lambda penalty: scores[penalty])


def top(images: Tensor, texts: Tensor) -> dict[str, float]:
    """Top-1 and top-5 where row i of each belong together."""
    ranked = (normalize(images, dim=1) @ normalize(texts, dim=1).T).topk(5, 1).indices
    right = ranked == torch.arange(len(images))[:, None]
    return {"top1": float(right[:, 0].double().mean()), "top5": float(right.any(1).double().mean())}


def with_a_few(own: Pairs, content: dict[str, Any]) -> None:
    """What learners that see one or five images of a class make of the space of each way."""
    spaces = {"image features": None, **{how: fitted(own, how, {}) for how in ("kernel", "neighbours", "conse")}}
    for name, split in (("caltech101", "all"), ("cifar-fs", "test")):
        table = task(name, split, ("name",)).table
        for shots in (1, 5):
            episodes = fewshot.EpisodeSampler(table.labels, ways=5, shots=shots, queries=15, seed=0).sample(EPISODES)
            for space, join in spaces.items():
                mapped = replace(
                    table, features=normalize(join.image(table.features) if join else table.features, dim=1)
                )
                for learner in ("prototypical", "ridge"):
                    found = fewshot.evaluate(fewshot.create_learner(learner), mapped, episodes)
                    content["few_shot"].append(
                        {"dataset": name, "shots": shots, "space": space, "learner": learner}
                        | {"accuracy": found.accuracy, "ci95": found.ci95}
                    )
            print(f"{name}, {shots} shots", flush=True)
    write_json(FOUND, content)


def main() -> None:
    image, text = image_half(IMAGE), text_half(TEXT)
    assert image.head is not None
    own = from_classifier(image.head, class_vectors(text, image.head.out_features))
    content: dict[str, Any] = {
        "image": {"name": IMAGE, "fingerprint": image.fingerprint, "precision": "float32"},
        "text": {"name": TEXT, "fingerprint": text.fingerprint},
        "chosen_on": f"80 classes of CIFAR-FS (train, val), {CHOICE_EACH} images of each; kernel on seen emoji too",
        "intervals": "names: t over classes; openmoji: t over the splits, which overlap; few_shot: t over episodes",
        "seeds": {"openmoji": list(range(SPLITS)), "few_shot": 0, "contrastive": 0},
        "provenance": provenance(),
        **{key: [] for key in ("choice", "names", "centred", "paired", "openmoji", "openmoji_penalties", "few_shot")},
    }
    without_images(own, content)
    with_images(own, content)
    with_a_few(own, content)


if __name__ == "__main__":
    main()
