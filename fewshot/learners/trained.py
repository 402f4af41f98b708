"""Learners with weights of their own: a network that episodes of base classes train, kept in one file."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fewshot.errors import InvalidInput, MissingWeights, UnreadableFile
from fewshot.files import whole_file
from fewshot.learners.learner import Learner
from fewshot.learners.support import Support

FORMAT = {"format": "fewshot.TrainedLearner", "version": "1"}


class EpisodicNetwork(nn.Module, ABC):
    """The two methods of a `Learner`, with weights that gradients reach through both."""

    @abstractmethod
    def learn(self, support: Support) -> dict[str, Tensor]:
        """The state that `score` needs, as in `Learner.learn`."""

    @abstractmethod
    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """Logits (T, Q, ways), as in `Learner.score`."""

    def logits(self, support: Support, query: Tensor) -> Tensor:
        """Logits (T, Q, ways) of query (T, Q, D), none of them padding."""
        mask = torch.ones(query.shape[:2], dtype=torch.bool, device=query.device)
        return self.score(self.learn(support), query, mask)

    def loss(self, support: Support, query: Tensor, labels: Tensor) -> Tensor:
        """What training makes small: the mean cross-entropy of query (T, Q, D) with labels (T, Q)."""
        return cross_entropy(self.logits(support, query).flatten(0, 1), labels.flatten())


@dataclass(frozen=True)
class TrainedLearner(Learner):
    """A learner whose mathematics is a network; `train_learner` trains it on base classes and writes its weights.

    weights: the file that `train_learner` wrote. It is for features of one backbone, and for the settings it was
    trained with.
    """

    trained: ClassVar[bool] = True

    weights: str = ""

    @abstractmethod
    def network(self, dim: int) -> EpisodicNetwork:
        """The network before training, for features of `dim` dimensions."""

    def learn(self, support: Support) -> dict[str, Tensor]:
        """What the network learns. Raises as `loaded` does."""
        return self.loaded(support.features).learn(support)

    def score(self, state: Mapping[str, Tensor], query: Tensor, mask: Tensor) -> Tensor:
        """The network's logits. Raises as `loaded` does."""
        return self.loaded(query).score(state, query, mask)

    def loaded(self, features: Tensor) -> EpisodicNetwork:
        """The network with its weights, on the device and of the type of features (..., D); a file is read once.

        Raises `MissingWeights` without a file, `UnreadableFile` for one that is damaged or of another kind, and
        `InvalidInput` for weights of another learner, of other settings or for another dimension.
        """
        stamp = self._file().stat()
        written = (stamp.st_mtime_ns, stamp.st_size)
        return _load(self, features.shape[-1], features.dtype, features.device, written)

    @property
    def backbone(self) -> str:
        """The backbone whose features the weights were trained on; empty without weights."""
        return read_header(self._file())["backbone"] if self.weights else ""

    def facts(self) -> dict[str, Any]:
        """As `Learner.facts`, with how the weights were trained."""
        return {**super().facts(), **({"training": read_header(self._file())["training"]} if self.weights else {})}

    def _file(self) -> Path:
        if not self.weights:
            raise MissingWeights(
                f"{self.name} has no weights: train it on a table of base classes, "
                f"train_learner(create_learner({self.name!r}), table, 'FILE.safetensors'), and use the learner this "
                "returns, or create it with weights='FILE.safetensors'"
            )
        if not Path(self.weights).is_file():
            raise MissingWeights(f"there is no weights file {self.weights}; train {self.name} with train_learner first")
        return Path(self.weights)


def save_network(
    path: Path, network: EpisodicNetwork, learner: TrainedLearner, dim: int, backbone: str, training: Mapping[str, Any]
) -> None:
    """Write the weights to `path`, as safetensors, with all that `loaded` checks, whole or not at all.

    dim: of the features that it was trained on; backbone: the fingerprint of what made them; training: what it was
    trained on, ready for JSON.
    """
    from safetensors.torch import save_file

    header = {**_needs(learner, dim), "backbone": backbone, "training": dict(training)}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    with whole_file(path) as beside:
        save_file(tensors, beside, metadata={**FORMAT, **{name: json.dumps(value) for name, value in header.items()}})


def read_header(path: Path) -> dict[str, Any]:
    """What a file of weights says of itself: learner, settings, dim, backbone, training."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        if {key: header.get(key) for key in FORMAT} != FORMAT:
            raise UnreadableFile(f"{path} holds no weights of a learner, version {FORMAT['version']}; train it again")
        return {key: json.loads(value) for key, value in header.items() if key not in FORMAT}
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableFile(f"{path} is damaged or no file of weights ({error}); train the learner again") from None


@lru_cache(maxsize=32)
def _load(
    learner: TrainedLearner, dim: int, dtype: torch.dtype, device: torch.device, written: tuple[int, int]
) -> EpisodicNetwork:
    from safetensors.torch import load_file

    header, needed = read_header(Path(learner.weights)), _needs(learner, dim)
    for fact, value in needed.items():
        if header[fact] != value:
            raise InvalidInput(
                f"the weights {learner.weights} are for {fact} {header[fact]!r}, and here {learner.name} has {fact} "
                f"{value!r}; pass what they were trained for, or train anew"
            )
    # kept beyond an evaluation: weights made in inference mode could serve nowhere else
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        network = learner.network(dim)
        network.load_state_dict(load_file(learner.weights))
        return network.to(device, dtype).requires_grad_(False).eval()


def _needs(learner: TrainedLearner, dim: int) -> dict[str, Any]:
    """What weights belong to."""
    settings = {name: value for name, value in asdict(learner).items() if name != "weights"}
    return {"learner": learner.name, "settings": settings, "dim": dim}
