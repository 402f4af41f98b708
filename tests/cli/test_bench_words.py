"""`fewshot bench run` with words: pools, tuning, halves of the classes, and no support at all."""

import json

import pytest
from clip_models import COLOURS, squares
from torchvision.utils import save_image

NAMES = list(COLOURS)


@pytest.fixture
def bench(fewshot, clip_folder, tmp_path):
    """The command on nine squares of each colour, by a model that knows colours."""
    images, labels = squares(9, seed=1)
    for row, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
        place = tmp_path / "squares" / NAMES[label]
        place.mkdir(parents=True, exist_ok=True)
        save_image(image, place / f"{row:03d}.png")
    backbone = f"open_clip:local-dir:{clip_folder('clip')}"
    common = ["--dataset", "folder:squares", "--backbone", backbone, "--ways", "all", "--episodes", "3"]
    return lambda *options: fewshot("bench", "run", *common, "--words", "a {} square", *options)


def test_halves_of_the_classes(bench) -> None:
    options = ["--pool", "2/3", "--shots", "2", "--learner", "clip-adapter:epochs=20", "--learner", "gda"]
    base = bench(*options, "--half", "base", "--json")
    assert base.exit_code == 0, base.stderr
    assert {row["task"] for row in json.loads(base.stdout)["results"]} == {
        "all-way 2-shot, pool 2/3, words a {} square, base half"
    }
    new = bench(*options, "--half", "new", "--json")
    assert new.exit_code == 2
    found = json.loads(new.stdout)
    assert found["results"][0]["accuracy"] > 0.5
    assert [row["learner"] for row in found["missing"]] == ["gda"]
    assert "what gda learns of its classes says nothing of others" in new.stderr


def test_words_alone_on_every_picture(bench) -> None:
    result = bench("--pool", "none", "--shots", "0", "--learner", "zero-shot", "--learner", "lp++", "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    [row] = found["results"]
    assert row["accuracy"] > 0.5
    assert found["missing"][0]["reason"] == "lp++ needs images of the classes"


@pytest.mark.parametrize("tuning", ["few", "full", "ensemble"])
def test_tuned_settings_are_kept_with_the_result(bench, tmp_path, tuning) -> None:
    result = bench("--pool", "2/3", "--shots", "1", "--learner", "gda", "--tuning", tuning)
    assert result.exit_code == 0, result.stderr
    [file] = (tmp_path / "results").rglob("*.json")
    kept = json.loads(file.read_text())
    assert kept["protocol"]["tuning"] == tuning
    chosen = kept["evaluation"]["settings"]["chosen"]
    assert [set(each) for each in chosen] == ([] if tuning == "ensemble" else [{"alpha"}] * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--half", "new"], "halves of the classes need a pool"),
        (["--shots", "0"], "0 shots leave the words alone, of all classes and untuned: set ways='all' and a pool"),
        (["--pool", "none"], "pool 'none' holds nothing to learn from: set shots=0 and no half"),
        (["--pool", "7/3"], "a pool that is a share must lie between 0 and 1, such as 2/3; found 7/3"),
        (["--tuning", "few"], "tuning 'few' takes validation items from a pool; name one"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(bench, options, message) -> None:
    shots = [] if "--shots" in options else ["--shots", "1"]
    result = bench(*shots, *options, "--learner", "zero-shot")
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
