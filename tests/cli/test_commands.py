"""The commands do what they say, on small data."""

import json
import shutil
import signal
import sys

import numpy as np
import pytest
from PIL import Image

from fewshot import EmbeddingTable


@pytest.fixture
def photos(tmp_path):
    """Five classes of four pictures, each class a pattern of its own under noise."""
    noise = np.random.default_rng(0)
    for number in range(5):
        folder = tmp_path / "photos" / f"class{number}"
        folder.mkdir(parents=True)
        pattern = noise.integers(0, 180, (20, 20, 3))
        for item in range(4):
            picture = pattern + noise.integers(0, 60, (20, 20, 3))
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{item}.png")
    return tmp_path / "photos"


def test_lists(fewshot) -> None:
    assert "fewshot:conv4\n" in fewshot("backbones", "list", "fewshot:*").output
    assert "fewshot:conv4" in json.loads(fewshot("backbones", "list", "fewshot:*", "--json").output)
    assert "glyphs" in fewshot("datasets", "list").output
    assert {"ridge", "simpleshot"} <= {
        facts["name"] for facts in json.loads(fewshot("learners", "list", "--json").output)
    }
    assert "Snell" in fewshot("learners", "list").output
    result = fewshot("backbones", "list", "nothing*")
    assert result.exit_code == 0
    assert "no backbone matches" in result.stderr


def test_show(fewshot) -> None:
    assert "1600" in fewshot("backbones", "show", "fewshot:conv4").output.replace(",", "")
    assert json.loads(fewshot("datasets", "show", "digits", "--json").output)["classes"] == 10
    assert "penalty" in fewshot("learners", "show", "ridge").output
    advice = fewshot("learners", "choose", "--shots", "5", "--queries", "together").output
    assert "at 5 shots" in advice
    assert json.loads(fewshot("learners", "choose", "--shots", "5", "--json").output)["reason"] != advice.strip()


def test_check_tells_sound_from_broken(fewshot, photos) -> None:
    result = fewshot("datasets", "check", "photos", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output)["items"] == 20
    shutil.copy(photos / "class0" / "0.png", photos / "class1" / "copy.png")
    truncated = photos / "class2" / "0.png"
    truncated.write_bytes(truncated.read_bytes()[:150])
    result = fewshot("datasets", "check", "photos", "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert found["broken"] == ["class2/0.png"]
    assert found["duplicates_across_classes"] == [["class0/0.png", "class1/copy.png"]]


def test_embed_a_folder(fewshot, photos) -> None:
    result = fewshot("embed", "photos", "--backbone", "fewshot:raw-pixels", "--out", "t", "--json")
    assert result.exit_code == 0, result.stderr
    table = EmbeddingTable.load("t")
    assert json.loads(result.output)["fingerprint"] == table.fingerprint
    assert (len(table), table.class_names[0], table.ids[0]) == (20, "class0", "class0/0.png")


def test_ctrl_c_says_how_to_go_on(program, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "empty cache"))
    command = ["embed", "digits", "--backbone", "fewshot:raw-pixels", "--out", "t"]
    code = "import time, fewshot.embeddings.extract as e; from fewshot.cli import main\n"
    code += "def wait(*_, **__):\n    print('embedding', flush=True)\n    time.sleep(60)\n"
    code += f"e.decoded_batches = wait; main({command!r})"
    process = program(sys.executable, "-c", code)
    assert process.stdout.readline() == "embedding\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert said == "fewshot: stopped; what is finished is kept, and the same command goes on from there\n"
    assert process.returncode == 130
    assert not (tmp_path / "t").exists()


def test_embed_names_broken_images_and_leaves_nothing(fewshot, photos, tmp_path) -> None:
    truncated = photos / "class2" / "0.png"
    truncated.write_bytes(truncated.read_bytes()[:150])
    result = fewshot("embed", "photos", "--backbone", "fewshot:raw-pixels", "--out", "t")
    assert result.exit_code == 2
    assert "1 images cannot be read: class2/0.png" in result.stderr
    assert not (tmp_path / "t").exists()
    result = fewshot("embed", "photos", "--backbone", "fewshot:raw-pixels", "--out", "t", "--skip-broken")
    assert result.exit_code == 0
    assert "class2/0.png" in result.stderr
    assert len(EmbeddingTable.load("t")) == 19


BENCH = ["--backbone", "fewshot:raw-pixels", "--queries", "2", "--episodes", "20", "--shots", "1"]


def test_bench_from_run_to_report(fewshot, photos, tmp_path) -> None:
    run = ["bench", "run", "--dataset", "folder:photos", *BENCH, "--learner", "ridge", "--learner", "nearest-neighbour"]
    first = fewshot(*run)
    assert first.exit_code == 0, first.stderr
    assert "2 computed, 0 kept from before, 0 missing" in first.stdout
    again = fewshot(*run, "--shots", "2")
    assert "2 computed, 2 kept from before" in again.stdout

    listed = json.loads(fewshot("bench", "list", "--json").output)
    assert len(listed) == 4
    assert all(row["accuracy"] > 0.9 for row in listed)
    assert "5-way 2-shot" in fewshot("bench", "report").output
    assert fewshot("bench", "report", "--format", "html", "--out", "r.html").output == "wrote r.html\n"
    assert "<svg" in (tmp_path / "r.html").read_text()
    assert fewshot("bench", "report", "--format", "markdown").output.startswith("**folder:photos (all)**")
    compared = json.loads(fewshot("bench", "compare", "ridge", "nearest-neighbour", "--json").output)
    assert len(compared) == 2
    assert {row["verdict"] for row in compared} <= {
        "no difference shown",
        "ridge is better",
        "nearest-neighbour is better",
    }


def test_bench_goes_past_what_cannot_be_done(fewshot, photos) -> None:
    result = fewshot("bench", "run", "--dataset", "folder:photos", *BENCH, "--shots", "9", "--learner", "ridge")
    assert result.exit_code == 2
    assert "1 computed, 0 kept from before, 1 missing" in result.stdout
    assert "5-way 9-shot" in result.stderr
    assert "has 4 of 11 items" in result.stderr


def test_bench_mode_never_only_reads(fewshot, photos) -> None:
    result = fewshot(
        "bench", "run", "--dataset", "folder:photos", *BENCH, "--learner", "ridge", "--mode", "never", "--json"
    )
    assert result.exit_code == 2
    assert json.loads(result.stdout)["missing"][0]["reason"] == "not run yet"


def test_bench_with_random_weights_says_so(fewshot, photos) -> None:
    options = [*BENCH[2:], "--random", "fewshot:conv4-28", "--learner", "ridge", "--json"]
    result = fewshot("bench", "run", "--dataset", "folder:photos", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["results"][0]["backbone"] == "fewshot:conv4-28 (random)"
