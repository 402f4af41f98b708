"""The report of studies: made of results alone, whole with any of them, and refused where there are none."""

from pathlib import Path

from click.testing import CliRunner

from fewshot.cli import main
from fewshot.transfer import TransferStore
from fewshot.transfer.report import report
from fewshot.transfer.studies import list_studies, load_study

STORE = Path(__file__).parents[2] / "benchmarks" / "transfer_store"


def test_without_results_every_study_says_how_to_measure_it() -> None:
    text = report([])
    for name in list_studies():
        assert f"## {load_study(name).title}" in text
        assert f"`fewshot transfer study {name}`" in text


def test_the_committed_results_make_the_committed_report() -> None:
    made = report(TransferStore(STORE))
    assert made == (STORE.parents[1] / "docs" / "transfer_report.md").read_text(encoding="utf-8")


def test_by_command(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["transfer", "report", "--store", str(STORE), "--out", str(tmp_path / "r.md")])
    assert told.exit_code == 0, told.output
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == report(TransferStore(STORE))


def test_no_results_are_one_line(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["transfer", "report", "--store", str(tmp_path)])
    assert told.exit_code == 2
    assert "holds no results of studies" in told.output


def test_an_unknown_study_is_one_line() -> None:
    told = CliRunner().invoke(main, ["transfer", "study", "negativ"])
    assert told.exit_code == 2
    assert "near: negative" in told.output
