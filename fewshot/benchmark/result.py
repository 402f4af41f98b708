"""One measured number with all that is needed to believe it, as one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.benchmark.protocol import Protocol
from fewshot.errors import UnreadableFile
from fewshot.files import read_json, write_json

VERSION = 1


@dataclass(frozen=True)
class Result:
    """The evaluation of one learner on one backbone under one protocol.

    `backbone` and `learner` describe themselves (name, fingerprint, settings, what is assumed); `episodes` is the
    fingerprint of the tasks drawn, so that two results on the same tasks can be paired; `evaluation` holds accuracy,
    interval, per-episode counts and per-class scores; `provenance` tells versions, hardware and date.
    """

    protocol: Protocol
    dataset: Mapping[str, Any]
    backbone: Mapping[str, Any]
    learner: Mapping[str, Any]
    episodes: str
    evaluation: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def accuracy(self) -> float:
        """Mean accuracy over episodes, in [0, 1]."""
        return self.evaluation["accuracy"]

    @property
    def ci95(self) -> float:
        """Half the width of the 95 % interval over episodes."""
        return self.evaluation["ci95"]

    @property
    def per_episode(self) -> Tensor:
        """Accuracy of every episode (T,), float64."""
        return torch.tensor(self.evaluation["per_episode"], dtype=torch.float64)

    @property
    def learner_label(self) -> str:
        """The learner's name, with the settings that differ from its defaults."""
        return learner_label(self.learner)

    @property
    def backbone_label(self) -> str:
        """The backbone's name, with `random` where its weights are."""
        name = self.backbone["name"]
        return f"{name} (random)" if self.backbone.get("weights") == "random" else name

    def save(self, path: str | Path) -> None:
        """Write the result as JSON, whole or not at all."""
        content = {"version": VERSION, **vars(self), "protocol": self.protocol.to_json()}
        write_json(path, content)

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result; raises `UnreadableFile` for anything else, naming the file."""
        content = read_json(path)
        if not isinstance(content, dict) or "version" not in content:
            raise UnreadableFile(f"{path} is not a benchmark result")
        if content["version"] > VERSION:
            raise UnreadableFile(
                f"{path} is of version {content['version']}, this fewshot reads up to {VERSION}: upgrade it"
            )
        try:
            parts = {name: content[name] for name in cls.__dataclass_fields__}
            return cls(**parts | {"protocol": Protocol.from_json(parts["protocol"])})
        except (KeyError, TypeError) as error:
            raise UnreadableFile(f"{path} lacks {error}; it was damaged or is another kind of file") from error


def learner_label(learner: Mapping[str, Any]) -> str:
    """`ridge` or `ridge (penalty=10)`: a learner described by name, settings and defaults."""
    changed = changed_settings(learner)
    return f"{learner['name']} ({', '.join(changed)})" if changed else learner["name"]


def changed_settings(learner: Mapping[str, Any]) -> list[str]:
    """The settings of a learner described that are not its defaults, as `setting=value`."""
    defaults = learner.get("defaults", {})
    return [f"{key}={value}" for key, value in learner["settings"].items() if value != defaults.get(key)]
