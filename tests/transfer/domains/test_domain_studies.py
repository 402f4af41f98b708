"""The studies of domains: sections of nothing, runs in small, and answers that follow from the numbers."""

from importlib import import_module
from importlib.util import find_spec

import pytest

from fewshot.transfer import ADAPTS_TO_TEST, SOURCE_ONLY, TransferResult, TransferStore
from fewshot.transfer.studies import list_studies, load_study
from fewshot.transfer.studies.domain_pairs import table, verdict
from fewshot.transfer.studies.office_caltech_tables import NEAREST_NEIGHBOUR, PAIRS, SVM

NAMES = ("shift", "digits", "office_caltech", "pictures", "deep_adaptation")
needs_skada = pytest.mark.skipif(find_spec("skada") is None, reason="needs the package skada (extra: transfer)")


@pytest.mark.parametrize("name", NAMES)
def test_a_section_of_nothing_says_so(name) -> None:
    assert name in list_studies()
    study = load_study(name)
    assert study.claim.endswith("?")
    assert study.section([]) == "Nothing is measured yet."


def result(method, draws, sees=ADAPTS_TO_TEST, case="a to b"):
    return TransferResult("digits", case, method, sees, draws)


def test_the_verdict_follows_from_paired_draws() -> None:
    results = [
        result("none", [0.5, 0.6, 0.7], SOURCE_ONLY),
        result("better", [0.61, 0.7, 0.8]),
        result("worse", [0.4, 0.5, 0.61]),
        result("like it", [0.4, 0.7, 0.7]),
    ]
    assert verdict(results, "none") == (
        "the best of 3, picked afterwards, is `better` with 70.3 % against 60.0 % of none; "
        "above none: `better`; below: `worse`; not told apart: `like it`"
    )
    lines = table(results, "none")
    assert lines[0] == "| method | sees | accuracy %, 3 draws | over none | p |"
    assert lines[2].startswith("| better | transductive | 70.3 ±")
    assert "| +10.3 ±" in lines[2]
    assert verdict(results[1:], "none") == ""


def test_one_draw_has_no_interval() -> None:
    lines = table([result("none", [0.5], SOURCE_ONLY), result("other", [0.75])], "none")
    assert lines[2] == "| other | transductive | 75.0 | +25.0 |  |"


def test_the_published_tables_are_whole() -> None:
    for values in (*NEAREST_NEIGHBOUR.values(), *SVM.values()):
        assert len(values) == len(PAIRS) == 12
    # the means that Sun et al. 2016 print beside theirs
    assert sum(SVM["coral"]) / 12 == pytest.approx(48.8, abs=0.05)
    assert sum(SVM["source-only"]) / 12 == pytest.approx(41.1, abs=0.05)


@needs_skada
def test_digits_in_small(shared_data, tmp_path, monkeypatch) -> None:
    study = import_module("fewshot.transfer.studies.digits")
    monkeypatch.setattr(study, "DRAWS", 2)
    monkeypatch.setattr(study, "ITEMS", 80)
    monkeypatch.setattr(study, "METHODS", {study.NEAREST: "source-only", "tca": "tca:components=20"})
    monkeypatch.setattr(study, "WHOLE", (study.NEAREST,))
    store = TransferStore(tmp_path)
    study.run(store, progress=False)
    assert len(store.find("digits")) == 6
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    study.run(store, progress=False)  # nothing is measured twice
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before
    told = study.section(store.find("digits"))
    assert "Published for 1-NN: 65.94 %; ours: 65.94 %." in told
    assert "Published for 1-NN: 44.70 %; ours: 44.70 %." in told
    assert "| tca | transductive |" in told


def test_shift_in_small(shared_data, tmp_path, monkeypatch) -> None:
    study = import_module("fewshot.transfer.studies.shift")
    monkeypatch.setattr(study, "DRAWS", 1)
    monkeypatch.setattr(study, "ITEMS", 200)
    named = ("MNIST, halves", "MNIST, blurred")
    monkeypatch.setattr(study, "CASES", {name: study.CASES[name] for name in named})
    store = TransferStore(tmp_path)
    study.run(store, progress=False)
    told = study.section(store.find("shift"))
    assert "right in 2 of 2 draws" in told
    assert "| MNIST, blurred | covariate | without | covariate (1) |" in told


def test_deep_adaptation_in_small(shared_data, tmp_path, monkeypatch) -> None:
    study = import_module("fewshot.transfer.studies.deep_adaptation")
    monkeypatch.setattr(study, "SEEDS", 2)
    monkeypatch.setattr(study, "ITEMS", 60)
    monkeypatch.setattr(study, "METHODS", (study.BASELINE, "tent"))
    store = TransferStore(tmp_path)
    study.run(store, progress=False)
    assert {each.method for each in store.find("deep_adaptation")} == {"deep-source-only", "tent"}
    assert "usps to mnist: the best of 1, picked" in study.section(store.find("deep_adaptation"))


@needs_skada
def test_skada_called_directly_gives_what_ours_gives(shared_data) -> None:
    study = import_module("fewshot.transfer.studies.office_caltech")
    pair = study._pairs(study.office_caltech10())[PAIRS.index("webcam dslr")]
    for ours, kind in (("subspace-alignment:components=30", "SubspaceAlignment"), ("ot", "OTMapping")):
        found = study.parse_adaptation(ours).adapt(pair.source, pair.labels, pair.target)
        direct = study.SkadaEstimator(kind=kind).adapt(pair.source, pair.labels, pair.target)
        assert (found == direct).double().mean() > 0.98
