"""`meta_train`: train a backbone across tasks, with validation, checkpoints, and resume to the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fewshot.backbones.devices import choose_device
from fewshot.backbones.registry import split_name
from fewshot.errors import Diverged
from fewshot.learners.memory import hold_all_freed_memory
from fewshot.learners.meta.meta_learner import MetaLearner, Outcome
from fewshot.learners.meta.tasks import Tasks
from fewshot.learners.meta.training.folder import TrainingFolder
from fewshot.learners.meta.training.image_bank import DecodedImages, open_images
from fewshot.learners.meta.training.meta_model import MetaModel, build_model, check_ways, score_tasks, seeded
from fewshot.learners.meta.training.meta_training import MetaTraining
from fewshot.learners.meta.training.processes import Processes, device_of_process
from fewshot.learners.meta.training.record import check_learner, check_splits, training_record
from fewshot.learners.meta.training.running import RunningNote, in_words
from fewshot.learners.meta.training.task_sources import ImageTasks, StepBatches, training_source
from fewshot.metrics import accuracy_interval
from fewshot.progress import Advance, progress_bar

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

USUAL = MetaTraining()


def meta_train(
    learner: MetaLearner,
    backbone: str,
    dataset: Dataset,
    out: str | Path,
    training: MetaTraining = USUAL,
    validation: Dataset | None = None,
    pretrained: bool = False,
    device: str | torch.device = "auto",
    workers: int = 0,
    progress: bool = True,
    told: Callable[[dict[str, Any]], None] = lambda row: None,
    told_engine: Callable[[str], None] = lambda engine: None,
) -> MetaModel:
    """Train `backbone` with `learner` on tasks of `dataset`, and return the model that validated best.

    The folder `out` gets `last.safetensors` and `best.safetensors`, `training.json` (what is trained on what, and by
    which engine), `log.csv` and `curves.png`. If it has a checkpoint of the same training, this goes on from there, to
    the same numbers as without the stop, on as many threads; one that has ended is only loaded. Without `validation`
    the last model is the best.

    backbone: a name, with `@FILE` for the weights it starts from: those that `export_backbone` wrote, or a checkpoint
    of another training, of which the backbone is taken. pretrained: start from the weights that the name comes with.

    Under torchrun each process takes its part of the tasks of a step, and gradients are averaged: the same update as in
    one process, as far as the loss of a task depends on no other task (batch norms over several tasks do).

    workers: processes that decode ahead where the images do not fit into memory, which a `FewshotWarning` tells; one at
    least. told: hears each row of the log; told_engine: after the first step what computes the steps and why, of
    learners that have a choice.
    Raises `SplitError` if validation and training share classes, `SamplingError` for classes that cannot give the
    tasks, `InvalidInput` for settings that the learner cannot follow, `FingerprintMismatch` if `out` holds another
    training, `Diverged` for a loss that is NaN, and `UnwritableFile` if there is no space; the last checkpoint then
    stays.
    """
    run = _Run(learner, backbone, dataset, Path(out), training, validation, pretrained, device, workers, progress)
    return run.train(told, told_engine)


class _Run:
    """One training: the model, where its tasks come from, and where it stands."""

    def __init__(
        self,
        learner: MetaLearner,
        backbone: str,
        dataset: Dataset,
        out: Path,
        training: MetaTraining,
        validation: Dataset | None,
        pretrained: bool,
        device: str | torch.device,
        workers: int,
        progress: bool,
    ) -> None:
        hold_all_freed_memory()
        check_splits(dataset, validation)
        check_learner(learner, dataset, training)
        self.learner, self.training, self.workers = learner, training, workers
        self.device = device_of_process(choose_device(device))
        self.processes = Processes.join(self.device)
        self.size = training.tasks if learner.episodic else training.batch
        self.processes.check(self.size)
        self.progress = progress and self.processes.first
        ways = training.ways if learner.episodic else len(dataset.class_names) * (4 if training.rotations else 1)
        if validation is not None:
            check_ways(learner, ways, training.validation_shape[0])
        with seeded(training.seed, torch.device("cpu")):
            self.network, model = build_model(learner, backbone, ways, pretrained)
        name, preprocess = split_name(backbone)[0], self.network.preprocess
        record = training_record(learner, name, model, ways, dataset, validation, training, preprocess)
        self.folder = TrainingFolder(out, record, f"{learner.name} on {dataset.name}")
        self.model = model.to(self.device)
        self.optimiser = training.optimiser(list(self.model.parameters()))
        self._open(dataset, validation)
        self.standing = self.folder.resume(self.model, self.optimiser)
        if self.processes.first:
            self.folder.begin()

    def _open(self, dataset: Dataset, validation: Dataset | None) -> None:
        training = self.training
        workers = max(self.workers, 1)
        bank = open_images(dataset, self.network.preprocess, self.device, self.progress, workers)
        self.workers = workers if isinstance(bank, DecodedImages) else 0
        source = training_source(bank, dataset, training, self.learner.episodic)
        self.batches = StepBatches(source, self.size, self.processes.rank, self.processes.count)
        self.validation = None
        if validation is not None:
            bank = open_images(validation, self.network.preprocess, self.device, self.progress)
            self.validation = ImageTasks(bank, validation, *training.validation_shape, seed=training.seed + 1)

    def train(self, told: Callable[[dict[str, Any]], None], told_engine: Callable[[str], None]) -> MetaModel:
        """Go on to the end, look by look, and load the best model."""
        standing, every = self.standing, self.training.validate_every
        self.told_engine: Callable[[str], None] | None = told_engine
        with progress_bar(self.learner.name, self.training.steps, standing.step, show=self.progress) as advance:
            while not standing.ended:
                stop = min(standing.step + every - standing.step % every, self.training.steps)
                self._steps(standing.step, stop, advance)
                self._look()
                advance(0, self._summary())
                if self.processes.first:
                    told(standing.history[-1])
        return MetaModel.load(self.folder.best, self.device)

    def _steps(self, first: int, last: int, advance: Advance) -> None:
        """Train for some steps, and note them in the history."""
        started, losses, hits = perf_counter(), [], []
        note = RunningNote(self.size, self._last_validation())
        self.model.train()
        with seeded(self.training.seed, self.device), torch.enable_grad():
            for step, tasks in enumerate(self.batches.stream(first, last, self.device, self.workers), first):
                outcome = self._step(step, tasks)
                losses.append(outcome.loss.detach().float())
                hits.append((outcome.logits.argmax(2) == tasks.query_labels).float().mean())
                advance(1, note(losses[-1], hits[-1]) if self.progress else "")
                self._tell_engine(tasks)
        self.processes.average_buffers(self.model)
        loss, accuracy = (self.processes.mean(torch.stack(each)) for each in (losses, hits))
        self._refuse_nan(loss)
        seconds = perf_counter() - started
        self.standing.step = last
        self.standing.seconds += seconds
        self.standing.history.append(
            {
                "step": last,
                "loss": float(loss.mean()),
                "accuracy": float(accuracy.mean()),
                "validation_accuracy": None,
                "validation_ci95": None,
                "rate": self.training.rate(last - 1),
                "tasks_per_second": round((last - first) * self.size / seconds, 1),
                "seconds": round(self.standing.seconds, 1),
            }
        )

    def _step(self, step: int, tasks: Tasks) -> Outcome:
        torch.manual_seed(self.training.seed + 1_000_003 * (step * self.processes.count + self.processes.rank))
        for group in self.optimiser.param_groups:
            group["lr"] = self.training.rate(step)
        self.optimiser.zero_grad(set_to_none=True)
        with self.training.autocast(self.device):
            outcome = self.learner.backward(self.model, tasks, step / self.training.steps)
        self.processes.average_gradients(self.model)
        if self.learner.step_buffers:
            self.processes.average_buffers(self.model, self.learner.step_buffers)
        if self.training.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip)
        self.optimiser.step()
        return outcome

    def _tell_engine(self, tasks: Tasks) -> None:
        """After the first step, tell what computes the steps, and add it to the facts about the training."""
        told, self.told_engine = self.told_engine, None
        if told is None or not self.processes.first:
            return
        if engine := self.learner.computed_by(self.model, tasks):
            self.folder.tell_engine(engine)
            told(engine)

    def _refuse_nan(self, losses: Tensor) -> None:
        """Raise `Diverged` for a loss, of the steps since the last checkpoint, or for weights that are not finite."""
        bad = (~losses.isfinite()).nonzero().flatten().tolist()
        kept = self.standing.step
        if bad:
            found = f"the loss is NaN or infinite at step {kept + bad[0] + 1}"
        elif not all(parameter.isfinite().all() for parameter in self.model.parameters()):
            found = f"weights are NaN or infinite after step {kept + len(losses)}"
        else:
            return
        raise Diverged(
            f"{self.learner.name}: {found}; "
            + (f"the checkpoint of step {kept} is kept; " if kept else "nothing is kept yet; ")
            + "lower the learning rate, or set clip, and train into another folder"
        )

    def _look(self) -> None:
        """Validate, and keep what was learned."""
        standing, training = self.standing, self.training
        if self.processes.first:
            found = None
            if self.validation is not None:
                scores = score_tasks(self.learner, self.model, self.validation, training.validation_tasks)
                found = accuracy_interval(scores)
            better = standing.validated(found)
            tired = bool(training.patience) and standing.looks_since_best >= training.patience
            standing.ended = tired or standing.step == training.steps
            self.folder.keep(self.model, self.optimiser, standing, better)
        standing.ended = self.processes.share(standing.ended, self.device)

    def _summary(self) -> str:
        row = self.standing.history[-1]
        return in_words(row["loss"], row["accuracy"], row["validation_accuracy"], row["tasks_per_second"])

    def _last_validation(self) -> float | None:
        history = self.standing.history
        return history[-1]["validation_accuracy"] if history else None
