"""What every attribute method is: settings, and two functions that learn on seen classes and score any classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.learners.checks import check_settings
from fewshot.learners.features import l2_normalize
from fewshot.zeroshot.attributes.checks import check_attributes, check_items, check_training

Scaling = Literal["raw", "l2", "centre+l2"]


@dataclass(frozen=True)
class AttributeMethod(ABC):
    """Learns from items of seen classes how features and attributes go together; classifies among any classes.

    features, attributes: what is done to the vectors first: `raw` nothing, `l2` length 1 (what Akata et al. and Xian
    et al. do), `centre+l2` minus the mean of the seen items or classes, then length 1.
    `binary` methods take attributes that are 0 or 1, as they are.
    """

    features: Scaling = "l2"
    attributes: Scaling = "l2"

    name: ClassVar[str] = "unregistered"
    paper: ClassVar[str] = ""
    binary: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_settings(self)
        if self.binary and self.attributes != "raw":
            raise InvalidInput(f"{self.name} takes binary attributes as they are: attributes must be 'raw'")

    @abstractmethod
    def learn(self, features: Tensor, labels: Tensor, attributes: Tensor) -> dict[str, Tensor]:
        """The state that `score` needs. features (N, D) and attributes (C, A) scaled; labels (N,) in [0, C)."""

    @abstractmethod
    def score(self, state: Mapping[str, Tensor], features: Tensor, attributes: Tensor) -> Tensor:
        """Scores (N, K), larger is better, of scaled features (N, D) for classes of scaled attributes (K, A)."""

    def fit(self, features: Tensor, labels: Tensor, attributes: Tensor) -> AttributeModel:
        """Learn from the features (N, D) of labelled items of seen classes, and the attributes (C, A) of these.

        labels (N,) are integers in [0, C), with an item of every class. Raises `InvalidInput` for other shapes or
        types, a class without an item, values that are not finite, and, in binary methods, attributes other than 0
        and 1.
        """
        features, labels, attributes = check_training(self, features, labels, attributes)
        state = {"feature_mean": features.mean(0), "attribute_mean": attributes.mean(0)}
        items = scaled(features, self.features, state["feature_mean"])
        classes = scaled(attributes, self.attributes, state["attribute_mean"])
        return AttributeModel(self, {**state, **self.learn(items, labels, classes)})


@dataclass(frozen=True, eq=False)
class AttributeModel:
    """A fitted method: its settings and the tensors it learned."""

    method: AttributeMethod
    state: Mapping[str, Tensor]

    def scores(self, features: Tensor, attributes: Tensor) -> Tensor:
        """Scores (N, K) of features (N, D) for classes with attributes (K, A), seen or never seen; larger is better."""
        features = check_items(features, self.state["feature_mean"])
        attributes = check_attributes(self.method, attributes, self.state["attribute_mean"])
        return self.method.score(
            self.state,
            scaled(features, self.method.features, self.state["feature_mean"]),
            scaled(attributes, self.method.attributes, self.state["attribute_mean"]),
        )

    def predict(self, features: Tensor, attributes: Tensor) -> Tensor:
        """The row (N,) of `attributes` (K, A) that fits each item best."""
        return self.scores(features, attributes).argmax(1)

    def to(self, device: str | torch.device) -> AttributeModel:
        """A copy of the model whose tensors are on `device`; features and attributes must be there too."""
        return AttributeModel(self.method, {name: tensor.to(device) for name, tensor in self.state.items()})

    def save(self, folder: str | Path) -> None:
        """Write the model as a folder (safetensors, JSON), whole or not at all."""
        from fewshot.zeroshot.attributes.storage import save_model

        save_model(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> AttributeModel:
        """Open a saved model; raises `UnreadableFile` when it is missing, damaged or of a later version."""
        from fewshot.zeroshot.attributes.storage import load_model

        return load_model(Path(folder))


def scaled(vectors: Tensor, scaling: Scaling, mean: Tensor) -> Tensor:
    """Vectors (N, D) as a method takes them, see `AttributeMethod`."""
    if scaling == "raw":
        return vectors
    return l2_normalize(vectors - mean if scaling == "centre+l2" else vectors)
