"""`fewshot transfer layers` and `fewshot transfer tune` as a user runs them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fewshot.backbones import create_backbone
from fewshot.cli import main

NET = ["--backbone", "fewshot:conv4-28"]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Three classes of eight pictures in the current folder."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    for name in ("ants", "bees", "cats"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        pattern = noise.integers(0, 180, (14, 14))
        for item in range(8):
            picture = np.kron(pattern, np.ones((2, 2))) + noise.integers(0, 60, (28, 28))
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "photos" / name / f"{item}.png")
    return tmp_path


def call(*arguments: str, code: int = 0):
    result = CliRunner().invoke(main, ["transfer", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def test_layers(photos):
    told = call("layers", "photos", *NET, "--random", "--folds", "4", "--draws", "4", "--plot", "depth.png").output
    for word in ("block1", "block4", "output", "best blend, held out", "advice:", "drawn in depth.png"):
        assert word in told
    assert (photos / "depth.png").stat().st_size > 1000
    found = json.loads(call("layers", "photos", *NET, "--random", "--shots", "3", "--draws", "5", "--json").stdout)
    assert found["splits"] == 5
    assert list(found["layers"]) == ["block1", "block2", "block3", "block4", "output", "single", "blend"]
    assert len(found["draws"]["blend"]) == 5
    assert 0.3 < found["layers"]["block4"]["accuracy"] <= 1
    some = json.loads(
        call("layers", "photos", *NET, "--random", "--layers", "-1,block1", "--folds", "2", "--json").stdout
    )
    assert list(some["layers"])[:2] == ["block4", "block1"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--layers", "blok1", "--random"], "no layer is called 'blok1'; near: block1"),
        (["--folds", "9", "--random"], "a split into 9 folds needs 9 items of every class: ants has 8"),
        (["--shots", "8", "--random"], "8 shots, and one more to score, needs 9 items"),
        ([], "fewshot:conv4-28 has no pretrained weights"),
    ],
)
def test_layers_refuses(photos, arguments, told):
    result = call("layers", "photos", *NET, *arguments, code=2)
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def test_tune_trains_reports_and_gives_a_backbone(photos):
    arguments = ["tune", "photos", *NET, "--schedule", "scratch epochs=4", "--out", "runs/one", "--shots", "4"]
    told = call(*arguments)
    assert "learns from 12 images of 3 classes of photos, scored on 12 others; into runs/one" in told.stderr
    assert "epoch 4 (all): loss" in told.stderr
    assert "target-only (target labels)" in told.stdout
    assert 'create_backbone("file:fewshot:conv4-28@runs/one/backbone.safetensors")' in told.stdout
    result = json.loads((photos / "runs/one/result.json").read_text())
    assert (result["train items"], result["test items"], result["epochs"]) == (12, 12, 4)
    backbone = create_backbone("file:fewshot:conv4-28@runs/one/backbone.safetensors", device="cpu")
    assert backbone.weights.endswith("backbone.safetensors")
    again = call(*arguments, "--json")
    assert "goes on with runs/one" in again.stderr
    assert json.loads(again.stdout)["accuracy"] == result["accuracy"]
    assert "belongs to another training" in call(*arguments, "--augment", "flip", code=2).stderr


def test_tune_with_everything(photos):
    told = call(
        *["tune", "photos", *NET, "--out", "runs/all", "--json", "--held-out", "0.25", "--validation", "0.3"],
        *["--schedule", "head epochs=2; top=0.5 epochs=2 decay=0.5 warmup=0.1 norms=frozen", "--patience", "1"],
        *["--augment", "light+mixup", "--regulariser", "l2-sp:alpha=0.01", "--batch", "6", "--optimizer", "sgd"],
        *["--precision", "bfloat16", "--clip", "1", "--image-size", "28", "--random"],
    )
    result = json.loads(told.stdout)
    assert (result["train items"], result["test items"]) == (12, 6), "two a class are held out, and two validate"
    training = result["record"]["training"]
    assert training["regulariser"]["settings"]["alpha"] == 0.01
    assert training["schedule"]["stages"][1]["norms"] == "frozen"
    assert "validation" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--schedule", "gradul"], "no schedule is called 'gradul'; near: gradual"),
        (["--schedule", "scratch", "--augment", "flop"], "no augmentation is called 'flop'; near: flip"),
        (["--schedule", "scratch", "--regulariser", "l2"], "no regulariser is called 'l2'; near: l2-sp"),
        (["--schedule", "scratch", "--held-out", "1"], "--held-out must be a share in [0, 1), found 1.0"),
        (["--schedule", "scratch", "--shots", "8"], "8 to learn from, and one more to score, needs 9 items"),
    ],
)
def test_tune_refuses(photos, arguments, told):
    result = call("tune", "photos", *NET, "--out", "runs/no", *arguments, code=2)
    assert told in result.stderr.splitlines()[-1]
    assert not (photos / "runs/no/last.safetensors").exists()


def test_tune_refuses_one_class_only(photos):
    for name in ("bees", "cats"):
        for picture in (photos / "photos" / name).iterdir():
            picture.unlink()
        (photos / "photos" / name).rmdir()
    result = call("tune", "photos", *NET, "--out", "runs/no", "--schedule", "scratch", code=2)
    assert "two classes or more are needed" in result.stderr
