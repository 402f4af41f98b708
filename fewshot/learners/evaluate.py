"""`evaluate`: score a learner on many tasks over one embedding table, in memory that their number does not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.learners.base_statistics import BaseStatistics
from fewshot.learners.checks import no_transfer
from fewshot.learners.evaluation import Evaluation
from fewshot.learners.head import Head
from fewshot.learners.learner import Learner
from fewshot.learners.memory import free_memory, hold_freed_memory
from fewshot.learners.probabilities import class_softmax
from fewshot.learners.tuning import TunedHead, Tuning, check_tuning, fit_tuned
from fewshot.learners.words import Words
from fewshot.metrics import ClassCounts, ReliabilityBins, accuracy_of_predictions, top_k_accuracy

if TYPE_CHECKING:
    from fewshot.embeddings import EmbeddingTable
    from fewshot.episodes import Episodes

GATHERED_BYTES = {"cpu": 32 << 20, "cuda": 512 << 20, "mps": 128 << 20}  # on a CPU what stays in its cache is fastest
LOGITS_BYTES = 64 << 20
SHARE_OF_FREE = 1 / 16  # of the free memory for gathered features: a learner needs several times as much to work in


def evaluate(
    learner: Learner,
    table: EmbeddingTable,
    episodes: Episodes,
    base: BaseStatistics | None = None,
    device: str | torch.device | None = None,
    chunk: int | Literal["auto"] = "auto",
    top_k: Sequence[int] = (5,),
    words: Words | None = None,
    tuning: Tuning = "none",
) -> Evaluation:
    """How well `learner` does on `episodes` drawn from `table`: accuracy with its interval, and what goes with it.

    Unlabelled items of the episodes go to the learners that use them; the others never see them. Queries of other
    classes than the support's (`Episodes.query_classes`) are for learners that transfer, by `Head.for_words`. A
    streaming learner gets the queries, and validation items, of each task in an order drawn at random, since episodes
    may have them class after class.

    base: statistics of the backbone's training classes, for learners that need them. device: where features are
    gathered and scored, the table's own by default. chunk: tasks at a time; "auto" gathers 32 MB at once on a CPU and
    512 MB on a GPU, less where less than sixteen times as much is free. Beside these, at most 64 MB of logits are held,
    however many tasks there are. top_k: further accuracies, kept where tasks have more classes than k. words: text
    vectors of the classes of the table, in its order, for learners that need them. tuning: how the settings in the
    learner's `grid` are chosen: "none", as they are; "few" and "full", on the validation items of each task, however
    many were drawn; "ensemble", the mean of the probabilities of all.

    Raises `InvalidInput` for episodes of another table, or whatever `Learner.fit` refuses, and `FingerprintMismatch`
    for a `base` or `words` of another backbone.
    """
    _check(learner, table, episodes, base, chunk, words)
    check_tuning(tuning, learner, episodes.validation)
    learner.check_backbone(table.backbone)
    hold_freed_memory()
    start = perf_counter()
    features = table.features if device is None else table.features.to(device)
    episodes = episodes.to(features.device)
    if learner.streaming:
        episodes = episodes.as_stream()
    size = _chunk_size(episodes, features) if chunk == "auto" else min(chunk, len(episodes))
    counts, bins = ClassCounts(len(table.class_names)), ReliabilityBins()
    accuracies: list[Tensor] = []
    chosen: list[dict[str, Any]] = []
    top: dict[int, list[Tensor]] = {k: [] for k in top_k if k < episodes.asked.shape[1]}
    for part in _blocks(episodes, size):
        logits, settings = _logits(learner, features, part, base, size, words, tuning)
        labels = part.query_labels
        chosen += settings
        predictions = logits.argmax(2)
        accuracies.append(accuracy_of_predictions(predictions, labels))
        counts.update(predictions, labels, part.asked)
        bins.update(class_softmax(logits), labels)
        for k, found in top.items():
            found.append(top_k_accuracy(logits, labels, k))
    return Evaluation(
        learner=learner.facts(),
        per_episode=torch.cat(accuracies).cpu(),
        top_k={k: torch.cat(found).cpu() for k, found in top.items()},
        per_class=counts.scores(),
        class_names=table.class_names,
        calibration=bins,
        seconds=perf_counter() - start,
        settings={"episodes": episodes.settings, "device": str(features.device), "chunk": size}
        | ({} if tuning == "none" else {"tuning": tuning, "chosen": chosen}),
    )


def _blocks(episodes: Episodes, chunk: int) -> Iterator[Episodes]:
    """All tasks, as many at a time as `LOGITS_BYTES` hold the logits of."""
    block = max(chunk, LOGITS_BYTES // (4 * max(1, episodes.query.shape[1] * episodes.asked.shape[1])))
    for first in range(0, len(episodes), block):
        yield episodes[first : first + block]


@torch.inference_mode()
def _logits(
    learner: Learner,
    features: Tensor,
    episodes: Episodes,
    base: BaseStatistics | None,
    chunk: int,
    words: Words | None,
    tuning: Tuning,
) -> tuple[Tensor, list[dict[str, Any]]]:
    """Logits (T, Q, W) of all queries, gathered and scored `chunk` tasks at a time, and the settings chosen."""
    chosen: list[dict[str, Any]] = []
    logits = features.new_full((*episodes.query.shape, episodes.asked.shape[1]), -torch.inf, dtype=torch.float32)
    # kept from chunk to chunk, since fresh memory costs more than the gathering
    support_room = features.new_empty(chunk * episodes.support.shape[1], features.shape[1])
    query_room = features.new_empty(chunk * episodes.query.shape[1], features.shape[1])
    for first in range(0, len(episodes), chunk):
        part = episodes[first : first + chunk]
        support, labels, query = _used(part.support), _used(part.support_labels), _used(part.query)
        ways = (part.classes >= 0).sum(1)
        extra: dict[str, Any] = {}
        if learner.needs_words and words is not None:
            extra["words"] = words.of(part.classes[:, : int(ways.max())])
        if learner.uses_unlabelled and part.unlabelled is not None:
            items = _used(part.unlabelled)
            extra |= {"unlabelled": features[items.clamp(min=0)], "unlabelled_mask": items >= 0}
        items = _gather(features, support, support_room)
        fit = partial(_fit, items, labels, ways, base, extra)
        if tuning == "none":
            head: Head | TunedHead = fit(learner)
        else:
            head = fit_tuned(tuning, learner, fit, *_validation(features, part))
            chosen += head.settings()
        if part.query_classes is not None:
            assert words is not None
            asked = (part.query_classes >= 0).sum(1)
            head = head.for_words(words.of(part.query_classes[:, : int(asked.max())]), asked)
        found = head(_gather(features, query, query_room), query >= 0)
        logits[first : first + chunk, : query.shape[1], : found.shape[2]] = found
    return logits, chosen


def _fit(
    support: Tensor, labels: Tensor, ways: Tensor, base: BaseStatistics | None, extra: dict[str, Any], learner: Learner
) -> Head:
    return learner.fit(support, labels, ways, base, **extra)


def _validation(features: Tensor, episodes: Episodes) -> tuple[Tensor | None, Tensor | None]:
    if episodes.validation is None:
        return None, None
    return features[episodes.validation.clamp(min=0)], episodes.validation_labels


def _used(items: Tensor) -> Tensor:
    """The columns up to the last that is not padding in every task."""
    if not items.numel() or items.min() >= 0:
        return items
    return items[:, : int((items >= 0).any(0).nonzero().max()) + 1]


def _gather(features: Tensor, items: Tensor, room: Tensor) -> Tensor:
    """The features (T, N, D) of items (T, N), written to `room`; those of item 0 stand in for padding."""
    rows = items.clamp(min=0).flatten()
    return torch.index_select(features, 0, rows, out=room[: len(rows)]).view(*items.shape, features.shape[1])


def _chunk_size(episodes: Episodes, features: Tensor) -> int:
    sets = [episodes.support, episodes.query, *([] if episodes.unlabelled is None else [episodes.unlabelled])]
    items = sum(part.shape[1] for part in sets)
    task_bytes = max(1, items * features.shape[1] * features.element_size())
    room = GATHERED_BYTES.get(features.device.type, 32 << 20)
    free = free_memory(features.device)
    return max(1, int(room if free is None else min(room, SHARE_OF_FREE * free)) // task_bytes)


def _check(
    learner: Learner,
    table: EmbeddingTable,
    episodes: Episodes,
    base: BaseStatistics | None,
    chunk: int | str,
    words: Words | None,
) -> None:
    if len(episodes) == 0:
        raise InvalidInput("there are no episodes to evaluate; sample one or more")
    if chunk != "auto" and (not isinstance(chunk, int) or chunk < 1):
        raise InvalidInput(f"chunk must be 'auto' or a whole number above zero, found {chunk!r}")
    episodes.check(table.labels)
    if episodes.query_classes is not None and not learner.transfers:
        raise InvalidInput(f"the queries are of other classes than the support; {no_transfer(learner.name)}")
    if episodes.query_classes is not None and words is None:
        raise InvalidInput("the queries are of other classes than the support: pass words=, which name them")
    if base is not None and base.backbone and table.backbone and base.backbone != table.backbone:
        raise FingerprintMismatch(
            f"the base statistics are of backbone {base.backbone} and the table of {table.backbone}; "
            "embed the base classes with the same backbone, precision and layers"
        )
    if words is not None:
        words.check_backbone(table.backbone)
        if words.vectors.ndim != 2 or words.ways != len(table.class_names):
            raise InvalidInput(
                f"words must hold one vector for each of the {len(table.class_names)} classes of {table.name}, found "
                f"{tuple(words.vectors.shape)}"
            )
        if words.names and words.names != table.class_names:
            raise InvalidInput(f"the words name other classes than {table.name}; words.select(table.class_names)")
