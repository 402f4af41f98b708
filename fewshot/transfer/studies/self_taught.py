"""Is it worth while to learn from images without labels? Autoencoders against random weights, pixels and ImageNet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from fewshot.files import cache_folder, write_tensors
from fewshot.metrics import paired_test
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import INDUCTIVE, TARGET_ONLY
from fewshot.transfer.studies.study import Study

if TYPE_CHECKING:
    from fewshot.datasets import Dataset
    from fewshot.embeddings import EmbeddingTable

NAME = "self_taught"
TAUGHT = ("plain", "denoising", "variational", "masked")
PIXELS, RANDOM, IMAGENET = "raw pixels", "random weights", "ImageNet"
METHODS = (PIXELS, RANDOM, *TAUGHT, IMAGENET)
FIXED = {PIXELS: "fewshot:raw-pixels", IMAGENET: "timm:tf_efficientnet_lite0"}
BATCH = 16  # images of a step of pretraining
SEEDS = 3  # of first weights and pretraining
EPISODES = 200  # with each seed
SHOTS = {"1-shot": (1, "prototypical"), "5-shot": (5, "prototypical"), "5-shot, linear probe": (5, "logistic")}
FINETUNED = (RANDOM, "denoising", "masked")
LABELS, TESTS, SPLITS = 10, 25, 6  # images of a class to fine-tune on, to test on, and how often they are drawn


@dataclass(frozen=True)
class _Source:
    """Images to learn from, a network and its steps, and how many items of each class of the test split are scored."""

    dataset: str
    unlabelled: str
    tested: str
    backbone: str
    steps: int
    classes: int
    items: int


SOURCES = (
    _Source("cifar-fs", "train", "test", "fewshot:conv4-32", steps=720, classes=20, items=30),
    _Source("omniglot", "background", "evaluation", "fewshot:conv4-strided-omniglot", steps=480, classes=40, items=20),
)


def run(store: TransferStore, progress: bool) -> None:
    """Measure what the store lacks; encoders that were taught are kept in the cache."""
    for source in SOURCES:
        for method in METHODS:
            if not all(store.has(NAME, _case(source, shots), method) for shots in SHOTS):
                for result in _few_shot(source, method, progress):
                    store.save(result)
    source = SOURCES[0]
    for method in FINETUNED:
        if not store.has(NAME, f"{source.dataset}, fine-tuned", method):
            store.save(_fine_tuned(source, method, progress))


def section(results: Sequence[TransferResult]) -> str:
    """A table, and whether what was learned without labels beats the others."""
    if not results:
        return "Nothing is measured yet."
    lines: list[str] = []
    for case in sorted({result.case for result in results}):
        rows = sorted((each for each in results if each.case == case), key=lambda each: METHODS.index(each.method))
        lines += [
            f"**{case}**{_taught_for(rows)}",
            "",
            "| features | sees | accuracy, % | draws | by seed, % |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            known = row.interval
            seeds = ", ".join(f"{100 * value:.1f}" for value in row.more.get("by seed", []))
            lines.append(
                f"| {row.method} | {row.sees.kind} | {100 * known.mean:.1f} ± {100 * known.half_width:.1f} | "
                f"{known.count} | {seeds} |"
            )
        lines += ["", " ".join(_answers(rows)), ""]
    return "\n".join(lines).rstrip()


def _taught_for(rows: Sequence[TransferResult]) -> str:
    lengths = {(row.data["steps"], row.data["batch"]) for row in rows if row.method in TAUGHT and "steps" in row.data}
    return "".join(f", autoencoders taught for {steps} steps of {batch} images" for steps, batch in sorted(lengths))


def _answers(rows: Sequence[TransferResult]) -> Iterator[str]:
    """The mean of the autoencoders against each of the others, paired by draw: none is picked by its score."""
    taught = [row for row in rows if row.method in TAUGHT]
    if not taught or len({len(row.draws) for row in taught}) > 1:
        return
    average = torch.tensor([list(row.draws) for row in taught], dtype=torch.float64).mean(0)
    for other in rows:
        if other.method in TAUGHT or len(other.draws) != len(average):
            continue
        test = paired_test(average, torch.tensor(list(other.draws), dtype=torch.float64))
        change, verdict = test.difference, "the same within the error as"
        if test.significant:
            verdict = "better than" if change.mean > 0 else "worse than"
        names = ", ".join(row.method for row in taught)
        yield (
            f"Autoencoders ({names}) are on average {verdict} {other.method} "
            f"({100 * change.mean:+.1f} ± {100 * change.half_width:.1f} points)."
        )


def _few_shot(source: _Source, method: str, progress: bool) -> list[TransferResult]:
    """Accuracy on 5-way tasks of classes that no encoder saw: the first third of the tasks with the first seed, ..."""
    from fewshot.episodes import EpisodeSampler
    from fewshot.learners import create_learner, evaluate

    started, tested = perf_counter(), _tested(source)
    tables = [_table(source, method, seed, tested, progress) for seed in range(1 if method in FIXED else SEEDS)]
    seconds, results = perf_counter() - started, []
    for case, (shots, learner) in SHOTS.items():
        draws: list[float] = []
        episodes = EpisodeSampler(tested.labels, 5, shots, 15, seed=0).sample(SEEDS * EPISODES)
        for seed in range(SEEDS):
            part = episodes[seed * EPISODES : (seed + 1) * EPISODES]
            draws += evaluate(create_learner(learner), tables[seed % len(tables)], part).per_episode.tolist()
        by_seed = [] if method in FIXED else torch.tensor(draws).view(SEEDS, EPISODES).mean(1).tolist()
        settings = {"learner": learner, "ways": 5, "shots": shots, "queries": 15}
        results.append(_result(source, _case(source, case), method, draws, settings, by_seed, seconds))
    return results


def _fine_tuned(source: _Source, method: str, progress: bool) -> TransferResult:
    """Accuracy on all test classes at once, of the whole encoder trained on a few labelled images of each."""
    from fewshot.datasets import load_dataset
    from fewshot.transfer.multitask import LabelSets, MultitaskTraining, draw_split, open_trunk, train_multitask

    started, draws = perf_counter(), []
    images = load_dataset(source.dataset, split=source.tested)
    labels, training = LabelSets.of(images, ["class"]), MultitaskTraining(steps=40, batch=64, learning_rate=2e-3)
    for split in range(SPLITS):
        train, test = draw_split(labels.codes[:, 0], LABELS, TESTS, seed=split)
        path = _encoder(source, method, split % SEEDS, progress)
        make_trunk, inputs = open_trunk(f"file:{source.backbone}@{path}", images, whole=True, progress=progress)
        trained = train_multitask(make_trunk, inputs, labels, train, training=training)
        draws += trained.accuracies(inputs, labels, test)
    by_seed = torch.tensor(draws).view(-1, SEEDS).mean(0).tolist()
    settings = {"training": asdict(training), "labels a class": LABELS}
    return _result(source, f"{source.dataset}, fine-tuned", method, draws, settings, by_seed, perf_counter() - started)


def _result(
    source: _Source,
    case: str,
    method: str,
    draws: list[float],
    settings: dict[str, Any],
    by_seed: list[float],
    seconds: float,
) -> TransferResult:
    data = {**asdict(source), "batch": BATCH, "backbone": FIXED.get(method, source.backbone)}
    sees = TARGET_ONLY if method in (PIXELS, RANDOM) else INDUCTIVE
    more = {"by seed": by_seed} if by_seed else {}
    return TransferResult(
        NAME, case, method, sees, draws, settings=settings, data=data, seconds=round(seconds, 1), more=more
    )


def _case(source: _Source, shots: str) -> str:
    return f"{source.dataset}, {shots}"


def _tested(source: _Source) -> Dataset:
    """The items that are scored: some classes, and some images of each."""
    from fewshot.datasets import load_dataset

    images = load_dataset(source.dataset, split=source.tested)
    generator = torch.Generator().manual_seed(0)
    classes = torch.randperm(len(images.class_names), generator=generator)[: source.classes].tolist()
    images = images.select(classes=classes)
    rows = [(images.labels == label).nonzero().flatten()[: source.items] for label in range(source.classes)]
    return images.select(indices=torch.cat(rows))


def _table(source: _Source, method: str, seed: int, tested: Dataset, progress: bool) -> EmbeddingTable:
    from fewshot.backbones import create_backbone
    from fewshot.embeddings import embed

    name = FIXED.get(method) or f"file:{source.backbone}@{_encoder(source, method, seed, progress)}"
    backbone = create_backbone(name, device="cpu", pretrained=method != PIXELS)
    return embed(backbone, tested, workers=0, cache=method == IMAGENET, progress=progress)


def _encoder(source: _Source, method: str, seed: int, progress: bool) -> Path:
    """Weights of an encoder: taught by an objective, or random with the batch-norm statistics of the same images."""
    from fewshot.backbones.building import network_with_weights
    from fewshot.datasets import load_dataset
    from fewshot.learners.meta.training.image_bank import ImageBank
    from fewshot.transfer.self_taught import Pretraining, create_objective, measure_batch_norms, pretrain, whole_images

    images = load_dataset(source.dataset, split=source.unlabelled)
    training = Pretraining(source.steps, BATCH, save_every=source.steps // 3, precision="bfloat16", seed=seed)
    folder = cache_folder() / "self-taught" / f"{source.dataset}-{images.fingerprint}-{source.steps}"
    if method in TAUGHT:
        out = folder / f"{method}-{seed}"
        return pretrain(create_objective(method), source.backbone, images, out, training, "cpu", progress)
    path = folder / f"random-{seed}.safetensors"
    if not path.exists():
        network = network_with_weights(source.backbone, None, False, seed)
        bank = ImageBank.load(images, network.preprocess, torch.device("cpu"), progress=progress)
        measure_batch_norms(network.module, whole_images(bank))
        write_tensors(path, network.module.state_dict(), {})
    return path


STUDY = Study(
    NAME,
    "Self-taught learning",
    "Do features learned from images without labels beat random ones and raw pixels at a few shots?",
    run,
    section,
)
