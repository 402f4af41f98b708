"""What a training does in every stage again: a pass over the images, and a look at those held out."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from fewshot.errors import Diverged
from fewshot.learners.memory import free_memory
from fewshot.learners.meta.training.meta_model import seeded
from fewshot.transfer.augmentation import augmentation
from fewshot.transfer.finetuning.checkpoint import Standing
from fewshot.transfer.finetuning.images import LabelledImages
from fewshot.transfer.finetuning.inputs import StageInputs
from fewshot.transfer.finetuning.model import TransferModel
from fewshot.transfer.finetuning.prefix import FrozenPrefix
from fewshot.transfer.finetuning.regularisers import Pass
from fewshot.transfer.finetuning.schedule import Stage
from fewshot.transfer.finetuning.settings import FineTuning, set_rates

_EPOCHS_APART = 1_000_003  # between the seeds of two epochs
_AT_ONCE = 128  # images of a look


class Passes:
    """A model on its device, and how it learns from images; begins the regulariser, which may add to the model."""

    def __init__(
        self,
        model: TransferModel,
        images: LabelledImages,
        held_out: LabelledImages | None,
        training: FineTuning,
        device: torch.device,
    ) -> None:
        self.model, self.images, self.held_out = model, images, held_out
        self.training, self.device = training, device
        self.augment = augmentation(training.augment)
        regulariser = training.regulariser
        with seeded(training.seed, torch.device("cpu")):
            self.penalty = regulariser.begin(model, images) if regulariser else None
        self.needs_images = regulariser is not None and regulariser.needs_images

    def inputs(self) -> tuple[StageInputs, StageInputs | None]:
        """Of the images and of those held out, for what is frozen now; what is frozen is run once where it can be."""
        shortcut = self._shortcut()
        with self._autocast():
            looking = None
            training = StageInputs(self.images, self.model.trunk, shortcut, self.device)
            if self.held_out is not None:
                looking = StageInputs(self.held_out, self.model.trunk, shortcut, self.device)
        return training, looking

    def epoch(self, stage: Stage, optimiser: torch.optim.Optimizer, inputs: StageInputs, standing: Standing) -> float:
        """One pass over the images; the mean loss. Raises `Diverged` where that is NaN or infinite."""
        number, count = standing.epoch, len(self.images)
        seed = self.training.seed + _EPOCHS_APART * (standing.epochs + 1)
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
                f"the loss of {self.model.name} is NaN or infinite in epoch {standing.epochs + 1} "
                f"({stage.train}); lower the rate, or set clip"
            )
        return mean

    @torch.no_grad()
    def look(self, inputs: StageInputs) -> tuple[float, float]:
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
