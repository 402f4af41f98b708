"""`pretrain`: a backbone from images without labels, with checkpoints, and resume to the same numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from fewshot import __version__
from fewshot.backbones.building import seeded
from fewshot.backbones.devices import choose_device
from fewshot.backbones.registry import build_network
from fewshot.backbones.weights import weights_hash
from fewshot.episodes.checks import positive, whole_number
from fewshot.episodes.randomness import Randomness
from fewshot.errors import Diverged, InvalidInput
from fewshot.files import whole_file, write_json, write_tensors
from fewshot.learners.memory import hold_all_freed_memory
from fewshot.learners.meta.training.augmentation import augment, check_steps
from fewshot.learners.meta.training.checkpoint import check_same
from fewshot.learners.meta.training.image_bank import ByteScale, open_images
from fewshot.progress import Advance, progress_bar
from fewshot.transfer.self_taught.autoencoder import Autoencoder, Decoder
from fewshot.transfer.self_taught.checkpoint import Standing, read_checkpoint, restore, save_checkpoint
from fewshot.transfer.self_taught.objective import Objective
from fewshot.transfer.self_taught.statistics import measure_batch_norms, whole_images

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

ENCODER, LAST = "encoder.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Pretraining:
    """How long and how fast: `steps` steps of Adam on `batch` images, the rate falling to zero along a cosine.

    augmentation: "crop", "flip", "jitter"; the image so changed is what is to be made again. save_every: steps between
    two checkpoints. precision: "float32", or "bfloat16" for what autocast computes in it.
    """

    steps: int = 2_000
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    augmentation: tuple[str, ...] = ()
    save_every: int = 200
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 2), ("save_every", 1), ("seed", 0)):
            whole_number(name, getattr(self, name), least)
        positive("learning_rate", self.learning_rate)
        if not 0 <= self.weight_decay < float("inf"):
            raise InvalidInput(f"weight_decay must be zero or more, found {self.weight_decay}")
        if self.precision not in ("float32", "bfloat16"):
            raise InvalidInput(f"precision must be float32 or bfloat16, found {self.precision!r}")
        check_steps(self.augmentation)

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.learning_rate * (1 + cos(pi * step / self.steps)) / 2

    def rows(self, step: int, count: int) -> Tensor:
        """Which of `count` images a step takes: all in random order before any comes again, a rest left out."""
        batch = min(self.batch, count)
        around, place = divmod(step, count // batch)
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * around)
        return torch.randperm(count, generator=generator)[place * batch :][:batch]


USUAL = Pretraining()


def pretrain(
    objective: Objective,
    backbone: str,
    dataset: Dataset,
    out: str | Path,
    training: Pretraining = USUAL,
    device: str | torch.device = "auto",
    progress: bool = True,
    told: Callable[[dict[str, Any]], None] = lambda row: None,
) -> Path:
    """Teach the network called `backbone`, from random weights, on the images of `dataset`; labels are never seen.

    The folder `out` gets `encoder.safetensors`, whose path is returned and which `create_backbone(backbone,
    weights=path)` takes, `pretraining.json` (what learned what), `log.csv`, and `last.safetensors`, from which the same
    call goes on, to the same numbers as without a stop. Batch-norm statistics of the encoder are those of whole images,
    measured in the end. told: hears each row of the log.

    Raises `InvalidInput` for fewer than two images or a backbone whose preprocessing gives no bytes,
    `FingerprintMismatch` if `out` holds another pretraining, and `Diverged` for a loss that is not finite.
    """
    run = _Run(objective, backbone, dataset, Path(out), training, choose_device(device), progress)
    if run.standing.step < training.steps or not run.path.exists():
        run.train(told)
    return run.path


class _Run:
    """One pretraining: the model, its images, and where it stands."""

    def __init__(
        self,
        objective: Objective,
        backbone: str,
        dataset: Dataset,
        out: Path,
        training: Pretraining,
        device: torch.device,
        progress: bool,
    ) -> None:
        if len(dataset) < 2:
            raise InvalidInput(f"{dataset.name} ({dataset.split}) has {len(dataset)} images; two or more are needed")
        hold_all_freed_memory()
        self.objective, self.training, self.out, self.progress = objective, training, out, progress
        self.path, self.last = out / ENCODER, out / LAST
        network = build_network(backbone, pretrained=False)
        scale = ByteScale.of(network.preprocess)
        model = seeded(training.seed, lambda: _autoencoder(objective, backbone, scale))
        self.record = _record(objective, backbone, model, dataset, training)
        self.model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(self.model.parameters(), weight_decay=training.weight_decay)
        self.standing = self._resume()
        self.images = open_images(dataset, network.preprocess, device, progress)

    def _resume(self) -> Standing:
        if not self.last.exists():
            write_json(self.out / "pretraining.json", self.record)
            return Standing()
        standing, found, tensors = read_checkpoint(self.last)
        check_same(self.out, found | {"version": __version__}, self.record)  # a later version may go on
        restore(tensors, self.model, self.optimiser)
        return standing

    def train(self, told: Callable[[dict[str, Any]], None]) -> None:
        """Go on to the end, checkpoint by checkpoint, and write the encoder."""
        standing, every = self.standing, self.training.save_every
        with progress_bar(self.objective.name, self.training.steps, standing.step, show=self.progress) as advance:
            while standing.step < self.training.steps:
                stop = min(standing.step + every - standing.step % every, self.training.steps)
                self._steps(standing.step, stop, advance)
                save_checkpoint(self.last, self.model, self.optimiser, standing, self.record)
                _write_log(standing.history, self.out / "log.csv")
                told(standing.history[-1])
        encoder = self.model.encoder
        measure_batch_norms(encoder, whole_images(self.images))
        write_tensors(self.path, encoder.state_dict(), {"record": json.dumps(self.record)})

    def _steps(self, first: int, last: int, advance: Advance) -> None:
        started, losses = perf_counter(), []
        self.model.train()
        for step in range(first, last):
            losses.append(self._step(step))
            advance(1, f"loss {losses[-1]:.4f}" if step % 10 == 0 else "")
        seconds = perf_counter() - started
        self.standing.step = last
        self.standing.seconds += seconds
        images = (last - first) * min(self.training.batch, len(self.images))
        self.standing.history.append(
            {
                "step": last,
                "loss": sum(losses) / len(losses),
                "rate": self.training.rate(last - 1),
                "images_per_second": round(images / seconds, 1),
                "seconds": round(self.standing.seconds, 1),
            }
        )

    def _step(self, step: int) -> float:
        training = self.training
        pixels = self.images.gather(training.rows(step, len(self.images)))
        random = Randomness(training.seed, torch.tensor([step]))
        pixels = augment(pixels[None], random, training.augmentation)[0].float() / 255
        generator = torch.Generator().manual_seed(training.seed + 1_000_003 * step)
        for group in self.optimiser.param_groups:
            group["lr"] = training.rate(step)
        self.optimiser.zero_grad(set_to_none=True)
        lower = training.precision == "bfloat16"
        with torch.enable_grad(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=lower):
            loss = self.objective.loss(self.model, pixels, generator)
        if not loss.isfinite():
            kept = self.standing.step
            raise Diverged(
                f"{self.objective.name}: the loss is NaN or infinite at step {step + 1}; the checkpoint of step {kept} "
                "is kept; lower the learning rate and pretrain into another folder"
            )
        loss.backward()
        self.optimiser.step()
        return loss.item()


def _autoencoder(objective: Objective, backbone: str, scale: ByteScale) -> Autoencoder:
    network = build_network(backbone, pretrained=False)
    with torch.no_grad():
        features = network.module(torch.zeros(1, *network.preprocess.shape))
    code, size = objective.code(features.shape[1])
    decoder = Decoder(size, network.preprocess.channels, network.preprocess.image_size)
    return Autoencoder(network.module, code, decoder, scale)


def _record(
    objective: Objective, backbone: str, model: Autoencoder, dataset: Dataset, training: Pretraining
) -> dict[str, Any]:
    record = {
        "objective": {"name": objective.name, "paper": objective.paper, "settings": asdict(objective)},
        "backbone": backbone,
        "initial_weights": weights_hash(model.state_dict()),
        "dataset": {
            "name": dataset.name,
            "split": dataset.split,
            "fingerprint": dataset.fingerprint,
            "items": len(dataset),
        },
        "training": asdict(training),
        "version": __version__,
    }
    return json.loads(json.dumps(record))  # lists, not tuples


def _write_log(rows: list[dict[str, Any]], path: Path) -> None:
    with whole_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
