"""`fewshot transfer check`, `rank` and `curve`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fewshot.cli import main

LITE0 = "timm:tf_efficientnet_lite0"
SMALL = ["--image-size", "32", "--per-class", "12", "--classes", "4", "--device", "cpu"]


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["transfer", *arguments], catch_exceptions=False)


def _json(*arguments: str) -> dict[str, Any]:
    done = _run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_check(offline_weights: None) -> None:
    how = ("digits", "--shots", "3", "--queries", "6", "--draws", "3", *SMALL)
    told = _json("check", *how)
    assert list(told["accuracy"]) == ["pretrained", "random weights", "raw pixels", "trained from scratch"]
    assert told["verdict"] in ("helps", "hurts", "can't be told")
    assert len(told["accuracy"]["raw pixels"]["draws"]) == 3
    shown = _run("check", *how, "--no-scratch")
    assert "verdict: " in shown.output
    assert "trained from scratch" not in shown.output


def test_rank(offline_weights: None) -> None:
    how = ("digits", "--backbone", f"{LITE0}#1", "--backbone", f"random:{LITE0}", "--backbone", LITE0, *SMALL)
    told = _json("rank", *how, "--score", "logme", "--score", "leep")
    assert sorted(told["order"]) == sorted([f"{LITE0}#1", f"random:{LITE0}", LITE0])
    leep = {row["source"]: row["scores"]["leep"] for row in told["sources"]}
    assert leep[f"{LITE0}#1"] is None
    assert leep[LITE0] < 0
    assert "these " in _run("rank", *how, "--score", "logme", "--score", "gbc").output


def test_rank_of_sources(offline_weights: None, shared_data: Path) -> None:
    how = ("digits", "--source", "digits", "--source", "mnist-usps", *SMALL)
    told = _json("rank", *how)
    assert told["order"][0] == "digits"  # a head for these very images
    assert list(told["sources"][0]["scores"]) == ["leep", "nce"]


def test_curve(offline_weights: None, tmp_path: Path) -> None:
    how = ("digits", "--shots", "1,2,4", "--queries", "6", "--draws", "4", *SMALL)
    told = _json("curve", *how, "--goal", "0.5", "--goal", "0.9999")
    assert [point["shots"] for point in told["points"]] == [1, 2, 4]
    assert [goal["goal"] for goal in told["goals"]] == [0.5, 0.9999]
    shown = _run("curve", *how, "--out", str(tmp_path / "curve.png"))
    assert "foretold" in shown.output
    assert (tmp_path / "curve.png").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rank", "digits", "--backbone", LITE0), "two backbones"),
        (("rank", "digits", "--source", "glyphs"), "two sources"),
        (("rank", "digits", "--score", "logm"), "logme"),
        (("curve", "digits", "--shots", "1,two"), "whole numbers"),
        (("curve", "digits", "--shots", "1,2"), "three numbers"),
        (("check", "digits", "--learner", "logistik"), "logistic"),
        (("check", "digits", "--backbone", "fewshot:conv4"), "no pretrained weights"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    done = _run(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_single_class(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "photos" / "cat").mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "photos" / "cat" / f"{number}.png")
    done = _run("check", str(tmp_path / "photos"))
    assert done.exit_code == 2
    assert "has 1 class; add a folder" in done.stderr
