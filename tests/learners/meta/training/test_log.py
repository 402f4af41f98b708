"""The log has a row a look, and the curves are a picture."""

import csv

import pytest
from PIL import Image

from fewshot.learners.meta.training.log import COLUMNS, draw_curves, write_log


def rows(validated: bool) -> list[dict]:
    return [
        dict.fromkeys(COLUMNS, 0.5)
        | {
            "step": step,
            "validation_accuracy": 0.75 if validated else None,
            "validation_ci95": 0.01 if validated else None,
        }
        for step in (10, 20, 30)
    ]


def test_the_log_is_a_table_whose_unknowns_are_empty(tmp_path) -> None:
    write_log(rows(False), tmp_path / "log.csv")
    write_log(rows(True), tmp_path / "log.csv")
    with (tmp_path / "log.csv").open() as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert [row["step"] for row in table] == ["10", "20", "30"]
    assert table[0]["validation_accuracy"] == "0.75"
    write_log(rows(False), tmp_path / "log.csv")
    assert "10,0.5,0.5,,,0.5,0.5,0.5" in (tmp_path / "log.csv").read_text().splitlines()


@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_curves(tmp_path, validated, count) -> None:
    draw_curves(rows(validated)[:count], "protonet on marks", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
