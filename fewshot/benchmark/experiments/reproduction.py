"""`reproduce`: train or adapt as an experiment says, evaluate, and keep what came out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from fewshot.backbones import create_backbone
from fewshot.benchmark.experiments.adaptation import Adaptation, mean_of_halves, mean_over_sets
from fewshot.benchmark.experiments.catalogue import AnyExperiment, experiment_json, load_experiment
from fewshot.benchmark.experiments.domain_transfer import DomainTransfer
from fewshot.benchmark.experiments.experiment import Evaluation, Experiment
from fewshot.benchmark.experiments.measured import AdaptedOurs, Measured, Ours, thinned
from fewshot.benchmark.runner import run
from fewshot.benchmark.store import ResultStore
from fewshot.datasets.collection.omniglot_runs import one_shot_runs
from fewshot.episodes import Episodes
from fewshot.errors import FewshotError, InvalidInput
from fewshot.files import whole_file
from fewshot.learners.meta import Tasks
from fewshot.learners.meta.training.checkpoint import read_record
from fewshot.learners.meta.training.image_bank import DecodedImages, ImageBank, open_images
from fewshot.learners.meta.training.meta_model import MetaModel
from fewshot.learners.meta.training.trainer import meta_train
from fewshot.metrics import Interval, accuracy_interval
from fewshot.provenance import provenance

if TYPE_CHECKING:
    from fewshot.datasets import Dataset


def reproduce(
    name: str,
    out: str | Path,
    steps: int | None = None,
    tasks: int | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Ours | AdaptedOurs:
    """Run the experiment of that id in the folder `out`, and write `out/result.json`.

    A stopped training goes on from its last checkpoint, and one that has ended is only evaluated; an adaptation keeps
    the result of each data set and number of shots. steps, tasks: for a quick look, at most so many steps of training,
    and tasks (or draws of the support) an evaluation.
    Raises what `load_experiment`, `load_dataset`, `create_backbone` and `meta_train` raise.
    """
    experiment, out = shortened(load_experiment(name), steps, tasks), Path(out)
    ours: Ours | AdaptedOurs
    if isinstance(experiment, Adaptation):
        ours = adapt(experiment, out, device, progress)
    elif isinstance(experiment, DomainTransfer):
        ours = transfer(experiment)
    else:
        ours = train(experiment, out, device, progress)
    with whole_file(out / "result.json") as beside:
        beside.write_text(experiment_json({"experiment": name, "ours": ours.to_json()}), encoding="utf-8")
    return ours


def adapt(experiment: Adaptation, out: Path, device: str | torch.device, progress: bool) -> AdaptedOurs:
    """Evaluate the learner on every data set and number of shots; results are kept in `out/results`.

    Raises `FewshotError` naming the first data set that could not be done.
    """
    start = perf_counter()
    learner = experiment.learner()
    layers = "pre-projection" if learner.needs_projection else None
    backbone = create_backbone(experiment.backbone, device, layers=layers)
    store, results = ResultStore(out / "results"), []
    for evaluation in experiment.evaluations:
        halves = []
        for part in evaluation.parts:
            outcomes = run(experiment.protocols(part), [backbone], [learner], store, progress=progress)
            failed = next((outcome for outcome in outcomes if outcome.result is None), None)
            if failed:
                raise FewshotError(f"{failed.protocol.dataset}, {experiment.task(part)}: {failed.reason}")
            halves.append(mean_over_sets([each.result.per_episode.tolist() for each in outcomes if each.result]))
        found = accuracy_interval(torch.tensor(mean_of_halves(halves)))
        seed = experiment.data[0].seed
        results.append(Measured(round(100 * found.mean, 3), round(100 * found.half_width, 3), found.count, seed))
    hours = round((perf_counter() - start) / 3600, 4)
    return AdaptedOurs(tuple(results), hours, provenance(backbone.device))


def transfer(experiment: DomainTransfer) -> AdaptedOurs:
    """Adapt from every source to its target; raises `MissingData` without the features, `InvalidInput` for bad ones."""
    start, table = perf_counter(), experiment.load()
    results = tuple(experiment.measure(table, pair) for pair in experiment.evaluations)
    return AdaptedOurs(results, round((perf_counter() - start) / 3600, 4), provenance(), draws=False)


def train(experiment: Experiment, out: Path, device: str | torch.device = "auto", progress: bool = True) -> Ours:
    """Train in the folder `out`, or go on there, and evaluate the model that validated best.

    Raises what the loading of the data and of the backbone, and `meta_train`, raise.
    """
    data = experiment.data
    model = meta_train(
        experiment.learner(),
        experiment.backbone,
        data.train.load(),
        out,
        experiment.training,
        data.validation.load() if data.validation else None,
        pretrained=experiment.pretrained,
        device=device,
        progress=progress,
    )
    test = data.test.load()
    results = tuple(_measured(out, each, test, model.device, progress) for each in experiment.evaluations)
    standing, _ = read_record(out / "last.safetensors")
    return Ours(
        results,
        standing.step,
        standing.best_step,
        round(standing.seconds / 3600, 4),
        experiment.training.seed,
        thinned(standing.history),
        provenance(model.device),
    )


def shortened(experiment: AnyExperiment, steps: int | None = None, tasks: int | None = None) -> AnyExperiment:
    """The experiment with at most so many steps of training, and so many tasks a validation and evaluation.

    Raises `InvalidInput` where steps are limited and nothing is trained.
    """
    if steps is not None and not isinstance(experiment, Experiment):
        raise InvalidInput(f"{experiment.id} trains no network; leave out the number of steps")
    if isinstance(experiment, DomainTransfer):
        if tasks is not None:
            raise InvalidInput(f"{experiment.id} is tested on all items of its domains; leave out the number of tasks")
        return replace(experiment, ours=None)
    if isinstance(experiment, Adaptation):
        drawn = [replace(part, episodes=min(tasks or part.episodes, part.episodes)) for part in experiment.data]
        return replace(experiment, data=tuple(drawn), ours=None)
    training, evaluations = experiment.training, experiment.evaluations
    if steps is not None:
        training = replace(
            training, steps=min(steps, training.steps), validate_every=min(steps, training.validate_every)
        )
    if tasks is not None:
        training = replace(training, validation_tasks=min(tasks, training.validation_tasks))
        evaluations = tuple(
            replace(each, count=min(tasks, each.count)) if each.tasks == "drawn" else each for each in evaluations
        )
    return replace(experiment, training=training, evaluations=evaluations, ours=None)


def _measured(out: Path, evaluation: Evaluation, dataset: Dataset, device: torch.device, progress: bool) -> Measured:
    model = MetaModel.load(out / "best.safetensors", device, **evaluation.settings)
    found = _evaluate(model, evaluation, dataset, progress)
    percent, half_width = round(100 * found.mean, 3), round(100 * found.half_width, 3)
    return Measured(percent, half_width, found.count, evaluation.seed)


def _evaluate(model: MetaModel, evaluation: Evaluation, dataset: Dataset, progress: bool) -> Interval:
    if evaluation.tasks == "one-shot-runs":
        bank = open_images(dataset, model.network.preprocess, model.device, progress)
        return model.score(FixedTasks(bank, one_shot_runs(dataset)), evaluation.count, progress)
    return model.evaluate(
        dataset,
        evaluation.ways,
        evaluation.shots,
        evaluation.queries,
        evaluation.count,
        evaluation.seed,
        evaluation.rotations,
        evaluation.within,
        progress,
    )


@dataclass(frozen=True)
class FixedTasks:
    """Episodes that are given, over images in a bank, as a source of tasks."""

    bank: ImageBank | DecodedImages
    episodes: Episodes

    def batch(self, start: int, count: int) -> Tasks:
        """The episodes number start, ..., start + count - 1, with their images, on the device of the bank."""
        episodes = self.episodes[start : start + count]
        support, query = (
            self.bank.scale.to_floats(self.bank.gather(items)) for items in (episodes.support, episodes.query)
        )
        tasks = Tasks(support, episodes.support_labels, query, episodes.query_labels, episodes.ways)
        return tasks.to(support.device)
