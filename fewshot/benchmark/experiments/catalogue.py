"""The experiments by id: reading their files, and writing what came out into them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from fewshot.benchmark.experiments.adaptation import Adaptation, Adapted
from fewshot.benchmark.experiments.domain_transfer import DomainPair, DomainTransfer
from fewshot.benchmark.experiments.experiment import Data, Evaluation, Experiment, Part
from fewshot.benchmark.experiments.measured import AdaptedOurs, Ours
from fewshot.benchmark.experiments.published import Paper, Published
from fewshot.benchmark.protocol import Protocol
from fewshot.errors import InvalidInput, UnknownName, UnreadableFile
from fewshot.files import read_json, whole_file
from fewshot.learners.meta.training.meta_training import MetaTraining

FOLDER = Path(__file__).parent
AnyExperiment = Experiment | Adaptation | DomainTransfer
_NUMBERS = re.compile(r"\[[\s\d.,e-]*(null[\s\d.,e-]*)*\]")


def list_experiments(pattern: str = "*") -> list[str]:
    """The ids that match a shell pattern, sorted: `protonet/snell2017_omniglot`."""
    ids = sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("*/*.json"))
    return [name for name in ids if fnmatch(name, pattern)]


def load_experiment(name: str) -> AnyExperiment:
    """The experiment of that id; raises `UnknownName` with the nearest ones, and what `read_experiment` raises."""
    if name not in list_experiments():
        raise UnknownName("experiment", name, list_experiments())
    return read_experiment(_file(name), name)


def read_experiment(path: Path, name: str) -> AnyExperiment:
    """The experiment in a file; raises `UnreadableFile` that says what is wrong with which file."""
    try:
        return _experiment(name, read_json(path))
    except (TypeError, ValueError, AttributeError, KeyError, InvalidInput, UnknownName) as error:
        raise UnreadableFile(f"{path} is no valid experiment: {error}") from error


def record(name: str, ours: Ours | AdaptedOurs) -> Path:
    """Write what came out into the file of an experiment, for maintainers, and return its path."""
    path = _file(name)
    content = read_json(path) | {"ours": ours.to_json()}
    _experiment(name, content)
    with whole_file(path) as beside:
        beside.write_text(experiment_json(content), encoding="utf-8")
    return path


def experiment_json(content: Mapping[str, Any]) -> str:
    """Indented JSON, with lists of numbers, such as the rows of a curve, on one line each."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    return _NUMBERS.sub(lambda found: " ".join(found[0].split()), text)


def _file(name: str) -> Path:
    return FOLDER / f"{name}.json"


def _experiment(name: str, content: dict[str, Any]) -> AnyExperiment:
    if "table" in content:
        return _domain_transfer(name, content)
    return _adaptation(name, content) if isinstance(content["data"], list) else _trained(name, content)


def _domain_transfer(name: str, content: dict[str, Any]) -> DomainTransfer:
    return DomainTransfer(name, **content | _common(content, DomainPair, AdaptedOurs))


def _adaptation(name: str, content: dict[str, Any]) -> Adaptation:
    data = tuple(Protocol.from_json({"ways": "all", **part}) for part in content["data"])
    return Adaptation(name, **content | _common(content, Adapted, AdaptedOurs) | {"data": data})


def _trained(name: str, content: dict[str, Any]) -> Experiment:
    data = dict(content["data"])
    parts = {part: Part(**data[part]) if data[part] else None for part in ("train", "validation", "test")}
    made = {"data": Data(**data | parts), "training": MetaTraining(**content["training"])}
    return Experiment(name, **content | _common(content, Evaluation, Ours) | made)


def _common(
    content: Mapping[str, Any], evaluation: type[Published], measured: type[Ours | AdaptedOurs]
) -> dict[str, Any]:
    """What all kinds have: paper, evaluations, and our results where there are any."""
    ours = content.get("ours")
    return {
        "paper": Paper(**content["paper"]),
        "evaluations": tuple(evaluation(**each) for each in content["evaluations"]),
        "ours": measured.from_json(ours) if ours else None,
    }
