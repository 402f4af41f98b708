"""`fine_tune`: train a network in stages, with what is frozen computed once, checkpoints, and resume."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from fewshot import __version__
from fewshot.backbones.devices import choose_device
from fewshot.errors import Diverged
from fewshot.files import remove_unfinished, write_json
from fewshot.learners.memory import free_memory, hold_all_freed_memory
from fewshot.learners.meta.training.checkpoint import check_same
from fewshot.learners.meta.training.meta_model import seeded
from fewshot.progress import Advance, progress_bar
from fewshot.transfer.augmentation import augmentation
from fewshot.transfer.finetuning.checkpoint import Standing, read_checkpoint, save_checkpoint
from fewshot.transfer.finetuning.images import Generator, LabelledImages
from fewshot.transfer.finetuning.inputs import StageInputs
from fewshot.transfer.finetuning.model import TransferModel
from fewshot.transfer.finetuning.prefix import FrozenPrefix
from fewshot.transfer.finetuning.preparation import prepare, training_record
from fewshot.transfer.finetuning.regularisers import Pass
from fewshot.transfer.finetuning.schedule import Stage
from fewshot.transfer.finetuning.settings import FineTuning, set_rates
from fewshot.transfer.finetuning.tuned import FineTuned

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

_EPOCHS_APART = 1_000_003  # between the seeds of two epochs
_AT_ONCE = 128  # images of a look
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
        self.images, self.held_out, self.training = images, held_out, training
        self.out, self.device, self.save_every = out, device, save_every
        self.augment = augmentation(training.augment)
        self.model = model
        self.record = training_record(model, images, held_out, training)
        self.model.to(device)
        regulariser = training.regulariser
        with seeded(training.seed, torch.device("cpu")):
            self.penalty = regulariser.begin(model, images) if regulariser else None
        self.needs_images = regulariser is not None and regulariser.needs_images
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
            optimiser.load_state_dict({**optimiser.state_dict(), "state": self.optimiser_state})
        shortcut = self._shortcut()
        with self._autocast():
            training = StageInputs(self.images, self.model.trunk, shortcut, self.device)
            looking = None
            if self.held_out is not None:
                looking = StageInputs(self.held_out, self.model.trunk, shortcut, self.device)
        standing.seconds += perf_counter() - started
        patience = self.training.patience or stage.epochs
        while standing.epoch < stage.epochs and standing.since_best < patience:
            started = perf_counter()
            loss = self._epoch(stage, optimiser, training)
            standing.epoch, standing.epochs = standing.epoch + 1, standing.epochs + 1
            accuracy, held_out_loss = (None, None) if looking is None else self._look(looking)
            if standing.look(accuracy, held_out_loss) and looking is not None:
                self.best = _state(self.model)
            standing.seconds += perf_counter() - started
            row = {
                "epoch": standing.epochs,
                "stage": stage.train,
                "loss": loss,
                "held_out_accuracy": accuracy,
                "held_out_loss": held_out_loss,
                "kept_from": shortcut.cut if shortcut else None,
                "seconds": round(standing.seconds, 3),
            }
            standing.history.append(row)
            if perf_counter() - self.saved >= self.save_every:
                self._save(optimiser)
            advance(1, f"loss {loss:.3f}" + ("" if accuracy is None else f", held out {100 * accuracy:.1f} %"))
            told(row)

    def _epoch(self, stage: Stage, optimiser: torch.optim.Optimizer, inputs: StageInputs) -> float:
        """One pass over the images; the mean loss."""
        number, count = self.standing.epoch, len(self.images)
        seed = self.training.seed + _EPOCHS_APART * (self.standing.epochs + 1)
        parts = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tensor_split(
            -(-count // self.training.batch)
        )
        targets = one_hot(self.images.labels, len(self.images.class_names)).float()
        losses = []
        with seeded(seed, self.device):
            for place, items in enumerate(parts):
                set_rates(optimiser, stage.factor(number * len(parts) + place, stage.epochs * len(parts)))
                loss = self._step(inputs, items, targets[items].to(self.device), seed + place)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                if self.training.clip:
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip)
                optimiser.step()
                losses.append(loss.detach())
        mean = float(torch.stack(losses).mean())
        if mean != mean or mean in (float("inf"), float("-inf")):
            raise Diverged(
                f"the loss of {self.model.name} is NaN or infinite in epoch {self.standing.epochs + 1} "
                f"({stage.train}); lower the rate, or set clip"
            )
        return mean

    def _step(self, inputs: StageInputs, items: Tensor, targets: Tensor, seed: int) -> Tensor:
        """The loss of a batch, with its gradient to come."""
        with torch.enable_grad():
            with self._autocast():
                if self.augment:
                    pixels, targets = self.augment(self.images.pixels[items].to(self.device), targets, seed)
                    images = self.images.floats(pixels)
                    features = self.model.trunk(images)
                else:
                    images, features = inputs.features(items)
            features = features.float()
            logits = self.model.head(features)
            loss = cross_entropy(logits, targets)
            if self.penalty is not None:
                loss = loss + self.penalty(Pass(images, features, logits, targets))
        return loss

    @torch.no_grad()
    def _look(self, inputs: StageInputs) -> tuple[float, float]:
        """Accuracy and loss on the held-out images."""
        modes = {part: part.training for part in self.model.modules()}
        self.model.eval()
        labels = inputs.images.labels.to(self.device)
        with self._autocast():
            parts = torch.arange(len(labels)).split(_AT_ONCE)
            features = torch.cat([inputs.features(part)[1].float() for part in parts])
        logits = self.model.head(features)
        for part, mode in modes.items():
            part.training = mode
        return float((logits.argmax(1) == labels).double().mean()), float(cross_entropy(logits, labels))

    def _shortcut(self) -> FrozenPrefix | None:
        """The frozen prefix where its output can be kept: images that stay, a method that needs none, room for it."""
        if self.augment or self.needs_images or not self.training.cache_prefix:
            return None
        trial = torch.rand(2, *self.model.preprocess.shape, generator=torch.Generator().manual_seed(0))
        prefix = FrozenPrefix.find(self.model.trunk, trial.to(self.device))
        if prefix is None:
            return None
        count = len(self.images) + len(self.held_out or ())
        free = free_memory(self.device)
        return prefix if free is None or count * prefix.bytes_an_image <= free / 2 else None

    def _autocast(self) -> Any:
        lower = self.training.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16) if lower else nullcontext()

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
