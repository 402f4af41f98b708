"""`MetaModel`: a trained model with its learner and all that it was trained on, ready to be scored or handed on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fewshot.backbones.devices import choose_device
from fewshot.backbones.network import Network
from fewshot.backbones.registry import build_network, split_name
from fewshot.backbones.weights import load_weights
from fewshot.episodes.checks import whole_number
from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.files import write_tensors
from fewshot.learners.meta.meta_learner import MetaLearner, create_meta_learner
from fewshot.learners.meta.tasks import Tasks
from fewshot.learners.meta.training.checkpoint import load_checkpoint, read_record
from fewshot.learners.meta.training.image_bank import open_images
from fewshot.learners.meta.training.task_sources import ImageTasks, TaskSource
from fewshot.metrics import Interval, accuracy_interval
from fewshot.progress import progress_bar

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

# These bound the memory of an evaluation: a layer of EfficientNet-Lite0 makes 5 MB of a picture of 224 pixels.
IMAGES_AT_ONCE, PIXELS_AT_ONCE = 2_000, 4 << 20


@dataclass(frozen=True)
class MetaModel:
    """A meta-learner with its trained model.

    backbone: the name of the network; record: what was trained on what, as the checkpoint tells it.
    """

    learner: MetaLearner
    model: nn.Module
    network: Network
    record: dict[str, Any]

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto", **settings: Any) -> MetaModel:
        """Read a checkpoint (`best.safetensors` or `last.safetensors` of a training); `settings` of the learner may be
        changed, such as the steps it adapts for.

        Raises `UnreadableFile` for a file that is missing, damaged or of another kind.
        """
        _, record = read_record(Path(path))
        _check_record(path, record)
        learner = create_meta_learner(record["learner"]["name"], **{**record["learner"]["settings"], **settings})
        network, model = build_model(learner, record["backbone"], record["ways"], pretrained=False)
        load_checkpoint(Path(path), model)
        return cls(learner, model.to(choose_device(device)), network, record)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def evaluate(
        self,
        dataset: Dataset,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        tasks: int = 600,
        seed: int = 0,
        rotations: bool = False,
        within: str | None = None,
        progress: bool = True,
    ) -> Interval:
        """Mean accuracy over tasks of the data set, with its 95 % t-interval: `.mean`, `.half_width`, `.count`.

        Raises `InvalidInput` for other ways than the model has outputs and for fewer than 2 tasks, which have no
        interval, and what `EpisodeSampler` raises.
        """
        whole_number("tasks", tasks, 2)
        check_ways(self.learner, self.record["ways"], ways)
        bank = open_images(dataset, self.network.preprocess, self.device, progress=progress)
        source = ImageTasks(bank, dataset, ways, shots, queries, seed, rotations, within=within)
        return self.score(source, tasks, progress=progress)

    def score(self, source: TaskSource, tasks: int, progress: bool = False) -> Interval:
        """Mean accuracy with its interval over the first `tasks` tasks of a source, 2 at least."""
        whole_number("tasks", tasks, 2)
        return accuracy_interval(score_tasks(self.learner, self.model, source, tasks, progress))

    def predict(self, tasks: Tasks) -> Tensor:
        """Logits (T, Q, ways) of the queries of tasks."""
        self.model.eval()
        return self.learner.logits(self.model, tasks.to(self.device))

    def export_backbone(self, path: str | Path) -> None:
        """Write the weights of the backbone alone, for `create_backbone(name, weights=path)`.

        Raises `InvalidInput` where the network of that name does not compute what was trained: layers were changed, or
        batch norm has no running statistics.
        """
        trained = self.model.get_submodule("backbone").eval()
        plain = build_network(self.record["backbone"], pretrained=False).module.eval().to(self.device)
        if not _takes_over(plain, trained, self.network):
            raise InvalidInput(
                f"the backbone that {self.learner.name} trained is no plain {self.record['backbone']} any more (batch "
                "norm without running statistics, or changed layers); train with --set batch_norm=running where the "
                "method has it, or use the MetaModel itself"
            )
        write_tensors(path, plain.state_dict(), {})


def _check_record(path: str | Path, record: Any) -> None:
    """Raise `UnreadableFile` for the record of a checkpoint that does not say what model it is of."""
    record = record if isinstance(record, dict) else {}
    learner = record["learner"] if isinstance(record.get("learner"), dict) else {}
    said = {
        "learner": isinstance(learner.get("name"), str),
        "settings of a learner": isinstance(learner.get("settings"), dict),
        "backbone": isinstance(record.get("backbone"), str),
        "ways": isinstance(record.get("ways"), int),
    }
    lacking = [what for what, there in said.items() if not there]
    if lacking:
        raise UnreadableFile(
            f"{path} is no checkpoint of a training: its record names no {', '.join(lacking)}; take a best.safetensors "
            "or last.safetensors that a training wrote"
        )


@torch.no_grad()
def _takes_over(plain: nn.Module, trained: nn.Module, network: Network) -> bool:
    """Give a plain network the trained one's weights, and tell whether it then gives the same features."""
    try:
        plain.load_state_dict(trained.state_dict())
    except RuntimeError:
        return False
    images = torch.rand(2, *network.preprocess.shape, generator=torch.Generator().manual_seed(0))
    images = images.to(next(trained.parameters()).device)
    ours, theirs = trained(images), plain(images)
    return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def check_ways(learner: MetaLearner, outputs: int, ways: int) -> None:
    """Raise `InvalidInput` for tasks of other ways than a model with one output a class was made for."""
    if learner.fixed_ways and ways != outputs:
        raise InvalidInput(
            f"{learner.name} has {outputs} outputs, one a class, and cannot do {ways}-way tasks; "
            f"train it with ways={ways}"
        )


def build_model(learner: MetaLearner, backbone: str, ways: int, pretrained: bool) -> tuple[Network, nn.Module]:
    """The network of that name, with the weights of a file for NAME@FILE, and the model made of it, on the CPU."""
    name, weights = split_name(backbone)
    network = build_network(name, pretrained and weights is None)
    if weights is not None:
        load_weights(network, weights, name)
    network.module.eval()
    with torch.no_grad():
        features = network.module(torch.zeros(1, *network.preprocess.shape))
    if features.ndim != 2:
        raise InvalidInput(
            f"{backbone} gives {tuple(features.shape)} for one image, where features (1, dim) are needed"
        )
    return network, learner.model(network.module, features.shape[1], ways)


def score_tasks(
    learner: MetaLearner, model: nn.Module, source: TaskSource, tasks: int, progress: bool = False
) -> Tensor:
    """Accuracy (tasks,) of each of the first tasks of a source, float64; the same each time, for learners that draw."""
    model.eval()
    device = next(model.parameters()).device
    size, found = tasks_scored_at_once(source.batch(0, 1)), []
    with seeded(0, device), progress_bar(f"scoring {learner.name}", tasks, show=progress) as advance:
        for start in range(0, tasks, size):
            batch = source.batch(start, min(size, tasks - start)).to(device)
            right = learner.logits(model, batch).argmax(2) == batch.query_labels
            found.append(right.double().mean(1).cpu())
            advance(len(batch))
    return torch.cat(found)


def tasks_scored_at_once(tasks: Tasks) -> int:
    """How many such tasks are scored at a time: 2,000 images or 4 million pixels, but one task at least."""
    items = tasks.support.shape[1] + tasks.query.shape[1]
    pixels = tasks.query.shape[3:].numel() if tasks.query.ndim == 5 else 1
    return max(1, min(IMAGES_AT_ONCE, PIXELS_AT_ONCE // pixels) // items)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers of the CPU and of the device follow the seed; afterwards they go on as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
