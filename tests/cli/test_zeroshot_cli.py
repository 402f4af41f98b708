"""`fewshot zeroshot` on a small CLIP with random weights: what it prints is what the package says."""

import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from fewshot import ImageFolder, create_backbone, embed
from fewshot.zeroshot import evaluate_zero_shot

TOWERS = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def backbone_name(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("clip")
    (folder / "command-clip.json").write_text(json.dumps(TOWERS))
    open_clip.add_model_config(folder / "command-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("command-clip", load_weights=False)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "w.safetensors")
    return f"open_clip:command-clip@{folder / 'w.safetensors'}"


@pytest.fixture
def photos(tmp_path):
    noise = np.random.default_rng(0)
    for name in ("ice_cream", "green-tea", "cup"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for item in range(4):
            picture = noise.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "photos" / name / f"{item}.png")
    return tmp_path / "photos"


@pytest.fixture
def expected(backbone_name, photos):
    backbone = create_backbone(backbone_name, device="cpu", precision="float32")
    table = embed(backbone, ImageFolder(photos), progress=False)
    return lambda *given, **more: evaluate_zero_shot(backbone, table, *given, progress=False, **more).to_json()


def without_times(content: dict) -> dict:
    return {name: value for name, value in content.items() if name != "seconds"}


def test_a_folder_by_its_names(fewshot, backbone_name, photos, expected, tmp_path):
    run = ["zeroshot", "photos", "--backbone", backbone_name, "--device", "cpu", "--precision", "float32"]
    result = fewshot(*run, "--templates", "name", "--templates", "a bad {}", "--json", "--out", "r.json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [without_times(one) for one in found] == [without_times(expected(each)) for each in ("name", "a bad {}")]
    assert found[0]["settings"]["prompts"]["count"] == 3
    assert found[0]["dataset"]["name"] == "photos"
    assert json.loads((tmp_path / "r.json").read_text()) == found


def test_the_table_for_people(fewshot, backbone_name, photos, expected):
    run = ["zeroshot", "photos", "--backbone", backbone_name, "--device", "cpu", "--precision", "float32"]
    shown = fewshot(*run).stdout
    scores = expected("simple")
    assert f"{100 * scores['top1']['mean']:.1f} ± {100 * scores['top1']['ci95']:.1f}" in shown
    assert "simple" in shown
    true, found, count = max(((t, f, n) for t, f, n in scores["confusion"] if t != f), key=lambda each: each[2])
    assert f"{count} of {scores['class_names'][true]} taken for {scores['class_names'][found]}" in shown


def test_names_and_descriptions_from_files(fewshot, backbone_name, photos, expected, tmp_path):
    run = ["zeroshot", "photos", "--backbone", backbone_name, "--device", "cpu", "--precision", "float32", "--json"]
    (tmp_path / "names.txt").write_text("mug\nmatcha\ngelato\n")
    (tmp_path / "names.json").write_text(json.dumps({"cup": ["mug", "beaker"]}))
    (tmp_path / "said.json").write_text(json.dumps({"cup": "it holds tea", "ice_cream": ["it is cold", "sweet"]}))
    by_line = json.loads(fewshot(*run, "--classes", "names.txt").stdout)[0]
    named = {"cup": "mug", "green-tea": "matcha", "ice_cream": "gelato"}
    assert without_times(by_line) == without_times(expected(class_names=named))
    assert by_line["class_names"] == ["cup", "green-tea", "ice_cream"]
    by_file = json.loads(fewshot(*run, "--classes", "names.json").stdout)[0]
    assert without_times(by_file) == without_times(expected(class_names={"cup": ["mug", "beaker"]}))
    described = json.loads(fewshot(*run, "--descriptions", "said.json", "--background", "a wall").stdout)[0]
    said = {"cup": "it holds tea", "ice_cream": ["it is cold", "sweet"]}
    assert without_times(described) == without_times(expected(descriptions=said, background=["a wall"]))


def test_refusals_are_one_line(fewshot, backbone_name, photos, tmp_path):
    (tmp_path / "two.txt").write_text("mug\nmatcha\n")
    (tmp_path / "list.json").write_text("[1]")
    for given, message in (
        (["--backbone", "fewshot:raw-pixels"], "has no text tower"),
        (["--backbone", backbone_name, "--classes", "two.txt"], "one line for each of the 3 classes, found 2"),
        (["--backbone", backbone_name, "--classes", "none.txt"], "none.txt is no file"),
        (["--backbone", backbone_name, "--classes", "list.json"], "must be JSON of the form"),
        (["--backbone", backbone_name, "--descriptions", "own"], "has no descriptions of its own"),
        (["--backbone", backbone_name, "--templates", "simpel"], "near: simple"),
        (["--backbone", backbone_name, "--templates", "none"], "class 'cup' has no prompt"),
    ):
        result = fewshot("zeroshot", "photos", *given)
        assert result.exit_code == 2, given
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_wrong_prompts_are_told_before_images_are_embedded(fewshot, backbone_name, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("fewshot.embeddings.embed", lambda *_: pytest.fail("images were embedded"))
    (tmp_path / "said.json").write_text('{"spoon": "it stirs"}')
    for given, message in (
        (["--templates", "simple", "--templates", "none"], "class 'cup' has no prompt"),
        (["--descriptions", "said.json"], "descriptions are of class 'spoon', which is none of the 3 classes"),
        (["--templates", "simpel"], "near: simple"),
    ):
        result = fewshot("zeroshot", "photos", "--backbone", backbone_name, *given)
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
