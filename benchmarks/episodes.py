"""Draw and score 1,000 five-way one-shot tasks on cached features: fewshot, easyfsl and learn2learn side by side.

Run with `uv run --group peers python benchmarks/episodes.py`. Ratios are times over fewshot's. easyfsl's `TaskSampler`
hands an argument to `Sampler.__init__` that today's torch refuses, so that one method is patched.
"""

from __future__ import annotations

import torch
from easyfsl.datasets import FeaturesDataset
from easyfsl.methods import PrototypicalNetworks
from easyfsl.samplers import TaskSampler
from easyfsl.utils import evaluate as easyfsl_evaluate
from learn2learn.data import MetaDataset, Taskset
from learn2learn.data.transforms import KShots, NWays
from learn2learn.nn import PrototypicalClassifier
from timing import keep, side_by_side
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

import fewshot

TASKS, WAYS, SHOTS, QUERIES, DIM, CLASSES, PER_CLASS = 1000, 5, 1, 15, 640, 64, 600


def features_and_labels() -> tuple[Tensor, Tensor]:
    """Clustered features of the size of a miniImageNet training set."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
    centres = torch.randn(CLASSES, DIM, generator=generator)
    return centres[labels] + 4 * torch.randn(len(labels), DIM, generator=generator), labels


def by_class(episodes: fewshot.Episodes) -> list[list[int]]:
    """The same tasks in the order that easyfsl's collate function takes: class by class, support before queries."""
    shape = len(episodes), WAYS, -1
    support, query = episodes.support.view(shape), episodes.query.view(shape)
    assert (episodes.query_labels == torch.arange(WAYS).repeat_interleave(QUERIES)).all()
    return torch.cat([support, query], dim=2).flatten(1).tolist()


def per_task_loop(table: fewshot.EmbeddingTable, episodes: fewshot.Episodes, score) -> float:
    """Score tasks one by one, as both peers do; `score(support, labels, query)` gives logits."""
    right = total = 0
    for support, query, labels, truth in zip(
        episodes.support, episodes.query, episodes.support_labels, episodes.query_labels, strict=True
    ):
        logits = score(table.features[support], labels, table.features[query])
        right += int((logits.argmax(1) == truth).sum())
        total += len(truth)
    return right / total


def main() -> None:
    features, labels = features_and_labels()
    names = tuple(f"class {number}" for number in range(CLASSES))
    table = fewshot.EmbeddingTable(features, labels, names, tuple(map(str, range(len(labels)))))
    sampler = fewshot.EpisodeSampler(labels, ways=WAYS, shots=SHOTS, queries=QUERIES)
    episodes = sampler.sample(TASKS)
    learner = fewshot.create_learner("prototypical")

    Sampler.__init__ = lambda self, *given, **named: None  # type: ignore[method-assign]
    dataset = FeaturesDataset(labels.tolist(), features, list(names))
    task_sampler = TaskSampler(dataset, WAYS, SHOTS, QUERIES, TASKS)
    own = DataLoader(dataset, batch_sampler=task_sampler, collate_fn=task_sampler.episodic_collate_fn)
    same = DataLoader(dataset, batch_sampler=by_class(episodes), collate_fn=task_sampler.episodic_collate_fn)
    protonet = PrototypicalNetworks(nn.Identity())

    meta = MetaDataset(TensorDataset(features, labels))
    taskset = Taskset(meta, task_transforms=[NWays(meta, WAYS), KShots(meta, SHOTS + QUERIES)], num_tasks=-1)
    classifier = PrototypicalClassifier()

    def easyfsl_score(support: Tensor, support_labels: Tensor, query: Tensor) -> Tensor:
        protonet.process_support_set(support, support_labels)
        return protonet(query)

    def learn2learn_score(support: Tensor, support_labels: Tensor, query: Tensor) -> Tensor:
        classifier.fit_(support, support_labels)
        return classifier(query)

    with torch.no_grad():
        ours = fewshot.evaluate(learner, table, episodes).accuracy
        for score in (easyfsl_score, learn2learn_score):
            theirs = per_task_loop(table, episodes, score)
            assert abs(theirs - ours) < 2e-4, (theirs, ours)
        theirs = easyfsl_evaluate(protonet, same, device="cpu", use_tqdm=False)
        assert abs(theirs - ours) < 2e-4, (theirs, ours)
        measurements = {
            "draw 1,000 tasks": side_by_side(
                {
                    "fewshot": lambda: sampler.sample(TASKS),
                    "easyfsl": lambda: list(task_sampler),
                    "learn2learn": lambda: [taskset.sample_task_description() for _ in range(TASKS)],
                }
            ),
            "score 1,000 tasks (the same ones)": side_by_side(
                {
                    "fewshot.evaluate": lambda: fewshot.evaluate(learner, table, episodes),
                    "easyfsl.utils.evaluate": lambda: easyfsl_evaluate(protonet, same, device="cpu", use_tqdm=False),
                    "easyfsl's classifier in a bare loop": lambda: per_task_loop(table, episodes, easyfsl_score),
                    "learn2learn's in a bare loop": lambda: per_task_loop(table, episodes, learn2learn_score),
                }
            ),
            "draw and score, each library's own way": side_by_side(
                {
                    "fewshot": lambda: fewshot.evaluate(learner, table, sampler.sample(TASKS)),
                    "easyfsl": lambda: easyfsl_evaluate(protonet, own, device="cpu", use_tqdm=False),
                },
                rounds=3,
            ),
        }
    work = f"{TASKS:,} {WAYS}-way {SHOTS}-shot tasks, {QUERIES} queries a class, {DIM} dimensions, {CLASSES} classes"
    keep("episodes", {"work": work, "accuracy": ours, "measurements": measurements})


if __name__ == "__main__":
    main()
