"""One measured number of a transfer study, and the folder of JSON files where they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from fewshot.errors import InvalidInput, UnreadableFile
from fewshot.files import read_json, write_json
from fewshot.metrics import Interval, accuracy_interval
from fewshot.provenance import provenance
from fewshot.transfer.sees import Sees

VERSION = 1


@dataclass(frozen=True)
class TransferResult:
    """What `method` reached in one `case` of a `study`: one value a draw, in [0, 1] where it is an accuracy.

    Draws are whatever was repeated (splits, seeds, folds); draw i is the same of all methods of a case, so that two can
    be paired. `sees` is what the method was shown, `settings` what it was told, `data` what the case is made of
    (data sets, counts, backbone with its fingerprint), `seconds` the time of all draws, `more` whatever else was
    measured. Without `provenance` today's is written down.
    """

    study: str
    case: str
    method: str
    sees: Sees
    draws: Sequence[float]
    metric: str = "accuracy"
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    seconds: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=provenance)

    def __post_init__(self) -> None:
        if not self.draws:
            raise InvalidInput(f"the result of {self.method} in {self.study}/{self.case} has no draws; measure one")

    @property
    def interval(self) -> Interval:
        """The mean over draws with its 95 % interval; NaN wide for one draw."""
        return accuracy_interval(torch.tensor(list(self.draws), dtype=torch.float64))

    def to_json(self) -> dict[str, Any]:
        """All of it, with the mean and its interval spelled out for readers of the file."""
        known = self.interval
        spread = None if known.count < 2 else known.half_width
        return {
            "version": VERSION,
            **vars(self),
            "sees": self.sees.facts(),
            "draws": list(self.draws),
            "mean": known.mean,
            "ci95": spread,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TransferResult:
        """The inverse of `to_json`; raises `KeyError` or `TypeError` for anything else."""
        parts = {name: content[name] for name in cls.__dataclass_fields__}
        sees = Sees(**{name: content["sees"][name] for name in Sees.__dataclass_fields__})
        return cls(**parts | {"sees": sees})


class TransferStore:
    """Results under `folder`, as `<study>/<case>/<method>.json`; each file is whole or absent."""

    def __init__(self, folder: str | Path = "transfer") -> None:
        self.folder = Path(folder)

    def path(self, study: str, case: str, method: str) -> Path:
        """Where the result of this method lies or would lie."""
        return self.folder / _file_name(study) / _file_name(case) / f"{_file_name(method)}.json"

    def has(self, study: str, case: str, method: str) -> bool:
        """Whether it was measured already: a study that was stopped goes on with the others."""
        return self.path(study, case, method).exists()

    def save(self, result: TransferResult) -> Path:
        """Keep `result`, in place of an older one, and tell where."""
        path = self.path(result.study, result.case, result.method)
        write_json(path, result.to_json())
        return path

    def __iter__(self) -> Iterator[TransferResult]:
        """All results, in the order of their paths. A damaged file raises `UnreadableFile` naming it."""
        for path in sorted(self.folder.glob("*/*/*.json")):
            content = read_json(path)
            try:
                if content["version"] > VERSION:
                    raise UnreadableFile(
                        f"{path} is of version {content['version']}, this fewshot reads up to {VERSION}: upgrade it"
                    )
                yield TransferResult.from_json(content)
            except (KeyError, TypeError) as error:
                raise UnreadableFile(f"{path} is not a transfer result: {error!r}; measure it again") from error

    def find(self, study: str = "*", case: str = "*", method: str = "*") -> list[TransferResult]:
        """The results whose study, case and method match these shell patterns."""
        return [
            result
            for result in self
            if fnmatchcase(result.study, study)
            and fnmatchcase(result.case, case)
            and fnmatchcase(result.method, method)
        ]


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.=+-]+", "-", text).strip("-") or "none"
