"""`fewshot classify`: fits, predicts, evaluates, and explains what it refuses."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

HOW = ["--backbone", "fewshot:raw-pixels", "--device", "cpu"]
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 220)}


@pytest.fixture
def photos(tmp_path):
    """Three classes of four pictures, and one new picture of each."""
    noise = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for item in range(5):
            path = tmp_path / ("photos" if item < 4 else "new") / (name if item < 4 else "") / f"{name}{item}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(colour + noise.integers(-30, 30, (8, 8, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def model(fewshot, photos):
    assert fewshot("classify", "fit", "photos", "--out", "model", *HOW).exit_code == 0
    return "model"


def test_fit_says_what_it_chose(fewshot, photos) -> None:
    result = fewshot("classify", "fit", "photos", "--out", "model", *HOW)
    assert result.exit_code == 0, result.stderr
    assert "linear-probe for 4 images a class: there are images and no words; on caltech101" in result.stdout
    assert "fitted to 12 held-out predictions" in result.stdout
    assert "next: fewshot classify predict model PICTURES..." in result.stdout
    told = json.loads(fewshot("classify", "fit", "photos", "--out", "model", *HOW, "--json").stdout)
    assert (told["classes"], told["images"], told["calibration"]["examples"]) == (3, 12, 12)


def test_predict_in_three_forms(fewshot, model) -> None:
    table = fewshot("classify", "predict", model, "new").stdout
    assert "new/red4.png" in table
    rows = list(csv.reader(io.StringIO(fewshot("classify", "predict", model, "new/*.png", "--csv").stdout)))
    assert rows[0] == ["image", "class", "confidence"]
    assert [row[:2] for row in rows[1:]] == [[f"new/{name}4.png", name] for name in ("blue", "green", "red")]
    told = json.loads(fewshot("classify", "predict", model, "new/red4.png", "--top", "2", "--json").stdout)
    assert told[0]["class"] == "red"
    assert told[0]["top"][0]["class"] == "red"
    assert len(told[0]["top"]) == 2
    wide = fewshot("classify", "predict", model, "new/red4.png", "--top", "2", "--csv").stdout
    assert wide.splitlines()[0] == "image,class,confidence,class_1,confidence_1,class_2,confidence_2"


def test_it_may_abstain(fewshot, model) -> None:
    assert ",none," in fewshot("classify", "predict", model, "new", "--abstain", "1", "--csv").stdout
    told = json.loads(fewshot("classify", "predict", model, "new", "--abstain", "1", "--json").stdout)
    assert [each["class"] for each in told] == [None] * 3


def test_broken_pictures_are_named_or_left_out(fewshot, model, tmp_path) -> None:
    (tmp_path / "new" / "broken.png").write_bytes(b"none")
    result = fewshot("classify", "predict", model, "new", "--csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "1 images cannot be read: new/broken.png" in result.stderr
    assert "leave them out with --skip-broken" in result.stderr
    assert len(fewshot("classify", "predict", model, "new", "--csv", "--skip-broken").stdout.splitlines()) == 4


def test_evaluate_writes_picture_and_json(fewshot, photos, tmp_path) -> None:
    result = fewshot("classify", "evaluate", "photos", "--out", "found", *HOW)
    assert result.exit_code == 0, result.stderr
    assert "100.0 % (95 % interval 75.8 to 100.0; leave-one-out)" in result.stdout
    assert "calibration error" in result.stdout
    told = json.loads((tmp_path / "found" / "evaluation.json").read_text())
    assert told["confusion"] == [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    assert Image.open(tmp_path / "found" / "confusion.png").format == "PNG"
    assert json.loads(fewshot("classify", "evaluate", "photos", *HOW, "--json").stdout)["recall"] == [1, 1, 1]


def _same_picture(photos):
    shutil.copy(photos / "red" / "red0.png", photos / "blue" / "copy.png")


def _no_image(photos):
    (photos / "pink").mkdir()


def _unreadable(photos):
    (photos / "red" / "red0.png").write_bytes(b"")
    (photos / "blue" / "blue0.png").write_bytes(b"none")


def _one_class(photos):
    shutil.rmtree(photos / "red")
    shutil.rmtree(photos / "blue")


def _empty(photos):
    shutil.rmtree(photos)
    photos.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_same_picture, "the same picture stands in two classes: blue/copy.png and red/red0.png"),
        (_no_image, "the class pink has no image"),
        (_unreadable, "2 images cannot be read: blue/blue0.png, red/red0.png"),
        (_one_class, "two classes or more, found only 'green'"),
        (_empty, "photos has no class folders"),
    ],
)
def test_spoilt_folders_are_one_line_and_no_model(fewshot, photos, tmp_path, spoil, message) -> None:
    spoil(photos)
    for command in (["fit", "photos", "--out", "model"], ["evaluate", "photos", "--out", "model"]):
        result = fewshot("classify", *command, *HOW)
        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1
        assert message in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "photos"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "photoz", "--out", "m"], "photoz does not exist; give a folder"),
        (["fit", "red,blue,red", "--out", "m", *HOW], "the class name 'red' is given twice"),
        (["fit", "red,blue", "--out", "m", *HOW], "fewshot:raw-pixels has no text tower"),
        (["fit", "photos", "--out", "m", *HOW, "--words"], "fewshot:raw-pixels has no text tower"),
        (["fit", "photos", "--out", "m", "--learner", "rigde"], "no learner is called 'rigde'; near: ridge"),
        (["fit", "photos", "--out", "photos", *HOW], "photos is there and holds no classifier"),
        (["fit", "photos", "--out", "m", "--no-words", "--templates", "a {}"], "leave out --no-words"),
        (["fit", "table.csv", "--out", "m"], "table.csv needs the columns text and label"),
        (["evaluate", "red,blue"], "holds class names alone; an evaluation needs images"),
        (["evaluate", "photos", *HOW, "--repeats", "1"], "repeats must be 2 or more"),
        (["predict", "model", "new", "--abstain", "1.5"], "a probability from 0 to 1, found 1.5"),
        (["predict", "model", "new", "--top", "0"], "must be 1 or more, found 0"),
        (["predict", "model", "new", "--csv", "--json"], "--csv or --json, not both"),
        (["predict", "model", "old"], "old does not exist, nor does a picture match it"),
        (["predict", "model", "table.csv"], "classifies pictures and table.csv is a table of texts"),
        (["predict", "photos", "new"], "photos/classifier.json does not exist"),
    ],
)
def test_errors_are_one_line(fewshot, model, tmp_path, arguments, message) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    result = fewshot("classify", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_model_of_another_fingerprint(fewshot, model, tmp_path) -> None:
    facts = tmp_path / "model" / "classifier.json"
    content = json.loads(facts.read_text())
    content["backbone"]["fingerprint"] = "beef"
    facts.write_text(json.dumps(content))
    result = fewshot("classify", "predict", model, "new")
    assert result.exit_code == 2
    assert "model was fitted with fewshot:raw-pixels (beef, " in result.stderr
