"""The result store: a folder of JSON files, one a result."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fewshot.benchmark.protocol import Protocol
from fewshot.benchmark.result import Result, learner_label


class ResultStore:
    """Results under `folder`, as `<backbone>/<fingerprint>/<protocol>/<learner>.json`."""

    def __init__(self, folder: str | Path = "results") -> None:
        self.folder = Path(folder)

    def path(self, backbone: Mapping[str, Any], protocol: Protocol, learner: Mapping[str, Any]) -> Path:
        """Where the result of this backbone, protocol and learner lies or would lie."""
        parts = (backbone["name"], backbone["fingerprint"], protocol.name, learner_label(learner))
        folder = self.folder.joinpath(*map(_file_name, parts))
        return folder.with_name(f"{folder.name}.json")

    def save(self, result: Result) -> Path:
        """Keep `result`, in place of an older one, and tell where."""
        path = self.path(result.backbone, result.protocol, result.learner)
        result.save(path)
        return path

    def __iter__(self) -> Iterator[Result]:
        """All results, in the order of their paths. A damaged file raises `UnreadableFile` naming it."""
        for path in sorted(self.folder.glob("*/*/*/*.json")):
            yield Result.load(path)

    def find(self, dataset: str = "*", backbone: str = "*", learner: str = "*", task: str = "*") -> list[Result]:
        """The results whose names match these shell patterns (`task`: `5-way 1-shot`)."""
        return [
            result
            for result in self
            if fnmatchcase(result.protocol.dataset, dataset)
            and fnmatchcase(result.backbone["name"], backbone)
            and (fnmatchcase(result.learner["name"], learner) or fnmatchcase(result.learner_label, learner))
            and fnmatchcase(result.protocol.task, task)
        ]


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.=+-]+", "-", text).strip("-")
