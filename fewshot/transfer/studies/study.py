"""What a study is, and how one is found by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from fewshot.errors import UnknownName
from fewshot.transfer.result import TransferResult, TransferStore

# in the order of the report
STUDIES: tuple[str, ...] = (
    "layers",
    "stages",
    "regularisers",
    "augmentation",
    "multitask",
    "self_taught",
    "shots",
    "transferability",
    "negative",
    "shift",
    "digits",
    "office_caltech",
    "pictures",
    "deep_adaptation",
)


@dataclass(frozen=True)
class Study:
    """A question, the claim that is tested, how it is measured, and what is reported.

    `run(store, progress)` measures what `store` does not have yet, on real data with seed 0. `section(results)` makes
    Markdown of this study's results: a table and an answer computed from the numbers, without a heading.
    """

    name: str
    title: str
    claim: str
    run: Callable[[TransferStore, bool], None]
    section: Callable[[Sequence[TransferResult]], str]


def list_studies() -> tuple[str, ...]:
    """The names of all studies, in the order of the report."""
    return STUDIES


def load_study(name: str) -> Study:
    """The study called `name`; raises `UnknownName` with the nearest names."""
    if name not in STUDIES:
        raise UnknownName("study", name, STUDIES)
    study: Study = import_module(f"fewshot.transfer.studies.{name}").STUDY
    return study
