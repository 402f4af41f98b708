"""`fewshot transfer pretrain`: images in, a backbone out that every other command takes."""

import json

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fewshot.cli import main

BACKBONE = "fewshot:conv4-strided-omniglot"
QUICK = ["--backbone", BACKBONE, "--steps", "4", "--batch", "4", "--save-every", "2", "--device", "cpu"]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two classes of six small pictures."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0)
    for name in ("first", "second"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for item in range(6):
            Image.fromarray(noise.integers(0, 256, (28, 28), dtype=np.uint8)).save(f"photos/{name}/{item}.png")
    return tmp_path / "photos"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def test_from_images_to_embeddings_and_benchmark(photos) -> None:
    told = run("transfer", "pretrain", "photos", "--objective", "denoising", "--out", "taught", *QUICK, "--json")
    assert told.exit_code == 0, told.output
    facts = json.loads(told.stdout)
    assert facts["images"] == 12
    assert facts["backbone"] == f"file:{BACKBONE}@taught/encoder.safetensors"
    embedded = run("embed", "photos", "--backbone", facts["backbone"], "--out", "table", "--device", "cpu", "--json")
    assert json.loads(embedded.stdout)["dim"] == facts["dim"] == 64
    scored = run(
        *("bench", "run", "--dataset", "folder:photos", "--backbone", facts["backbone"], "--learner", "prototypical"),
        *("--ways", "2", "--shots", "1", "--queries", "2", "--episodes", "10", "--device", "cpu"),
    )
    assert scored.exit_code == 0, scored.output
    assert "prototypical" in scored.output


def test_the_same_command_again_goes_on(photos) -> None:
    told = run("transfer", "pretrain", "photos", "--objective", "masked", "--set", "patch=7", "--out", "taught", *QUICK)
    assert told.exit_code == 0, told.output
    assert "step 4: loss" in told.stderr
    assert "fewshot bench run" in told.stdout
    again = run(
        "transfer", "pretrain", "photos", "--objective", "masked", "--set", "patch=7", "--out", "taught", *QUICK
    )
    assert "step" not in again.stderr
    other = run(
        "transfer", "pretrain", "photos", "--objective", "masked", "--set", "patch=4", "--out", "taught", *QUICK
    )
    assert other.exit_code == 2
    assert "objective.settings.patch is 7 there and 4 here" in other.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos", "--objective", "maskd"], "near: masked"),
        (["photos", "--set", "noise"], "--set takes name=value"),
        (["photos", "--set", "loudness=1"], "no setting 'loudness'"),
        (["nowhere"], "no data set is called 'nowhere'"),
        (["photos", "--augmentation", "blur"], "no augmentation 'blur'"),
    ],
)
def test_what_it_refuses(photos, arguments: list[str], words: str) -> None:
    told = run("transfer", "pretrain", *arguments, "--out", "taught", *QUICK)
    assert told.exit_code == 2
    assert words in told.output
    assert len(told.output.strip().splitlines()) == 1
