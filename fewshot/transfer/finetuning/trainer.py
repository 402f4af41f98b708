"""`fine_tune`: train a network in stages, with what is frozen computed once, checkpoints, and resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fewshot import __version__
from fewshot.backbones.devices import choose_device
from fewshot.files import remove_unfinished, write_json
from fewshot.learners.memory import hold_all_freed_memory
from fewshot.learners.meta.training.checkpoint import check_same
from fewshot.learners.meta.training.checkpoint_tensors import set_state
from fewshot.progress import Advance, progress_bar
from fewshot.transfer.finetuning.checkpoint import Standing, read_checkpoint, save_checkpoint
from fewshot.transfer.finetuning.images import Generator, LabelledImages
from fewshot.transfer.finetuning.inputs import StageInputs
from fewshot.transfer.finetuning.model import TransferModel
from fewshot.transfer.finetuning.passes import Passes
from fewshot.transfer.finetuning.preparation import prepare, training_record
from fewshot.transfer.finetuning.schedule import Stage
from fewshot.transfer.finetuning.settings import FineTuning
from fewshot.transfer.finetuning.tuned import FineTuned

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

USUAL = FineTuning()


def fine_tune(
    backbone: str,
    data: Dataset | LabelledImages,
    training: FineTuning = USUAL,
    held_out: Dataset | LabelledImages | None = None,
    generate: Generator | None = None,
    out: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
    told: Callable[[dict[str, Any]], None] = lambda row: None,
    save_every: float = 10.0,
) -> FineTuned:
    """Train the backbone of that name on labelled images, stage by stage, and return the best model.

    held_out: images by which the best epoch is chosen and stages end early; without them the last epoch is the best.
    generate: makes more items of those at hand, before the training; they are counted in the record.
    out: a folder for `best.safetensors`, `last.safetensors` and `training.json`, written every `save_every` seconds and
        at the end; if it has a checkpoint of the same training, this goes on from there, to the same numbers.
    told: hears each row of the history.

    Raises `InvalidInput` for one class only or held-out images of other classes, `UnknownName` for layers that do not
    exist, `FingerprintMismatch` if `out` holds another training, and `Diverged` for a loss that is NaN.
    """
    hold_all_freed_memory()
    labelled, looked_at, model = prepare(backbone, data, held_out, training, progress)
    if generate is not None:
        labelled = labelled.with_generated(generate)
    place = None if out is None else Path(out)
    run = _Run(model, labelled, looked_at, training, place, choose_device(device), save_every)
    return run.train(progress, told)


class _Run:
    """One training: the model, its images, and where it stands."""

    def __init__(
        self,
        model: TransferModel,
        images: LabelledImages,
        held_out: LabelledImages | None,
        training: FineTuning,
        out: Path | None,
        device: torch.device,
        save_every: float,
    ) -> None:
        self.held_out, self.training = held_out, training
        self.out, self.device, self.save_every = out, device, save_every
        self.record = training_record(model, images, held_out, training)
        self.model = model.to(device)
        self.passes = Passes(model, images, held_out, training, device)
        self.standing = Standing()
        self.best = _state(model)
        self.saved = perf_counter()
        self._resume()

    def train(self, progress: bool, told: Callable[[dict[str, Any]], None]) -> FineTuned:
        """Go on to the end, and put the best weights in."""
        standing, stages = self.standing, self.training.schedule.stages
        total = self.training.schedule.epochs
        with progress_bar(f"fine-tuning {self.model.name}", total, standing.epochs, show=progress) as advance:
            while not standing.ended:
                self._stage(stages[standing.stage], advance, told)
                standing.stage, standing.epoch, standing.since_best = standing.stage + 1, 0, 0
                self.optimiser_state: dict[int, dict[str, Tensor]] = {}
                standing.ended = standing.stage == len(stages)
        self._save(None)
        if self.held_out is not None:
            self.model.load_state_dict(self.best)
        self.model.eval().requires_grad_(False)
        accuracy = None if self.held_out is None else standing.best_accuracy
        return FineTuned(
            self.model, standing.history, standing.best_epoch, accuracy, round(standing.seconds, 2), self.record
        )

    def _stage(self, stage: Stage, advance: Advance, told: Callable[[dict[str, Any]], None]) -> None:
        started, standing = perf_counter(), self.standing
        self.model.freeze_but(self.model.choose(stage.train), stage.norms)
        optimiser = self.training.optimiser(self.model, stage)
        if self.optimiser_state:
            set_state(optimiser, self.optimiser_state)
        training, looking = self.passes.inputs()
        standing.seconds += perf_counter() - started
        patience = self.training.patience or stage.epochs
        while standing.epoch < stage.epochs and standing.since_best < patience:
            row = self._epoch(stage, optimiser, training, looking)
            standing.history.append(row)
            if perf_counter() - self.saved >= self.save_every:
                self._save(optimiser)
            accuracy = row["held_out_accuracy"]
            advance(1, f"loss {row['loss']:.3f}" + ("" if accuracy is None else f", held out {100 * accuracy:.1f} %"))
            told(row)

    def _epoch(
        self, stage: Stage, optimiser: torch.optim.Optimizer, training: StageInputs, looking: StageInputs | None
    ) -> dict[str, Any]:
        """A pass and a look, noted in the standing; the row that tells it."""
        started, standing = perf_counter(), self.standing
        loss = self.passes.epoch(stage, optimiser, training, standing)
        standing.epoch, standing.epochs = standing.epoch + 1, standing.epochs + 1
        accuracy, held_out_loss = (None, None) if looking is None else self.passes.look(looking)
        if standing.look(accuracy, held_out_loss) and looking is not None:
            self.best = _state(self.model)
        standing.seconds += perf_counter() - started
        return {
            "epoch": standing.epochs,
            "stage": stage.train,
            "loss": loss,
            "held_out_accuracy": accuracy,
            "held_out_loss": held_out_loss,
            "kept_from": training.prefix.cut if training.prefix else None,
            "seconds": round(standing.seconds, 3),
        }

    def _resume(self) -> None:
        self.optimiser_state = {}
        if self.out is None:
            return
        last, best = self.out / "last.safetensors", self.out / "best.safetensors"
        for path in (last, best):
            remove_unfinished(path)
        if not last.exists():
            write_json(self.out / "training.json", self.record)
            return
        standing, found, weights, optimiser_state = read_checkpoint(last)
        check_same(self.out, found | {"version": __version__}, self.record)  # a later version may go on
        self.standing, self.optimiser_state = standing, optimiser_state
        self.model.load_state_dict(weights)
        self.best = {name: value.to(self.device) for name, value in read_checkpoint(best)[2].items()}

    def _save(self, optimiser: torch.optim.Optimizer | None) -> None:
        if self.out is not None:
            now = self.model.state_dict()
            best = now if self.held_out is None else self.best  # without a look the last is the best
            save_checkpoint(self.out / "best.safetensors", best, self.standing, self.record)
            save_checkpoint(self.out / "last.safetensors", now, self.standing, self.record, optimiser)
            self.saved = perf_counter()


def _state(model: TransferModel) -> dict[str, Tensor]:
    """A copy of all tensors."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
