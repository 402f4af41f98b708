"""Transfer results: what a method saw is kept with its number, and a store takes up where it was."""

import json
import math
from pathlib import Path

import pytest

from fewshot.errors import InvalidInput, UnknownName, UnreadableFile
from fewshot.transfer import (
    ADAPTS,
    INDUCTIVE,
    SOURCE_FREE,
    SOURCE_ONLY,
    TARGET_ONLY,
    Sees,
    TransferResult,
    TransferStore,
)
from fewshot.transfer.studies import list_studies, load_study


@pytest.mark.parametrize(
    ("sees", "kind"),
    [
        (INDUCTIVE, "inductive"),
        (TARGET_ONLY, "target-only"),
        (SOURCE_ONLY, "source-only"),
        (ADAPTS, "transductive"),
        (SOURCE_FREE, "source-free"),
        (Sees(source=True, target_labels=True), "inductive"),
        (Sees(weights=True, test=True), "source-free"),
        (Sees(weights=True), "source-only"),
    ],
)
def test_kinds_of_transfer(sees: Sees, kind: str) -> None:
    assert sees.kind == kind
    assert str(sees).startswith(kind)
    assert sees.facts()["kind"] == kind


def result(method: str = "tca", draws: tuple[float, ...] = (0.5, 0.7)) -> TransferResult:
    return TransferResult("digits", "mnist -> usps", method, ADAPTS, draws, settings={"dim": 30}, seconds=1.5)


def test_a_result_comes_back_whole(tmp_path: Path) -> None:
    store = TransferStore(tmp_path)
    assert not store.has("digits", "mnist -> usps", "tca")
    path = store.save(result())
    assert store.has("digits", "mnist -> usps", "tca")
    (found,) = store
    assert found == result() or vars(found) | {"draws": (0.5, 0.7)} == vars(result())
    assert found.sees == ADAPTS
    assert found.interval.mean == pytest.approx(0.6)
    assert json.loads(path.read_text())["ci95"] == pytest.approx(1.27062, abs=1e-4)


def test_one_draw_has_no_spread(tmp_path: Path) -> None:
    path = TransferStore(tmp_path).save(result(draws=(0.5,)))
    assert json.loads(path.read_text())["ci95"] is None
    assert math.isnan(next(iter(TransferStore(tmp_path))).interval.half_width)


def test_no_draws_is_refused() -> None:
    with pytest.raises(InvalidInput, match="tca in digits/mnist -> usps has no draws"):
        result(draws=())


@pytest.mark.parametrize("content", ['{"version": 1}', '{"version": 9}', "[]", '{"version": "x"}'])
def test_other_files_are_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "digits" / "case" / "tca.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(UnreadableFile, match="tca.json"):
        list(TransferStore(tmp_path))


def test_find_by_patterns(tmp_path: Path) -> None:
    store = TransferStore(tmp_path)
    for method in ("tca", "coral"):
        store.save(result(method))
    assert [found.method for found in store.find(method="c*")] == ["coral"]
    assert store.find(study="layers") == []


def test_an_unknown_study_lists_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="no study is called 'layer'"):
        load_study("layer")


@pytest.mark.parametrize("name", list_studies())
def test_every_study_is_whole(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    assert study.claim.endswith("?")
    assert isinstance(study.section([]), str)
