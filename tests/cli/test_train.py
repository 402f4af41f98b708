"""`fewshot train`: trains, tells, goes on, and explains what it refuses."""

import json
import signal
import sys
from dataclasses import fields
from time import sleep

import numpy as np
import pytest
from PIL import Image

from fewshot.cli.train.run import _load
from fewshot.learners.meta import list_meta_learners
from fewshot.learners.meta.training.meta_training import MetaTraining

TRAIN = ["--backbone", "fewshot:conv4-omniglot", "--ways", "3", "--queries", "1", "--tasks", "2", "--device", "cpu"]
SHORT = [*TRAIN, "--steps", "4", "--validate-every", "2", "--validation-tasks", "5"]


@pytest.fixture
def photos(tmp_path):
    """Split into train and val: five and three classes of three pictures."""
    noise = np.random.default_rng(0)
    for split, classes in (("train", 5), ("val", 3)):
        for number in range(classes):
            folder = tmp_path / "photos" / split / f"{split}{number}"
            folder.mkdir(parents=True)
            pattern = noise.integers(0, 180, (14, 14))
            for item in range(3):
                picture = np.kron(pattern, np.ones((2, 2))) + noise.integers(0, 60, (28, 28))
                Image.fromarray(picture.astype(np.uint8)).save(folder / f"{item}.png")
    return tmp_path / "photos"


def test_list(fewshot) -> None:
    listed = json.loads(fewshot("train", "list", "--json").output)
    assert [facts["method"] for facts in listed] == list_meta_learners()
    assert "metric=euclidean" in next(facts for facts in listed if facts["method"] == "protonet")["settings"]
    assert "Snell" in fewshot("train", "list").output


def test_help_names_the_methods_and_their_settings(fewshot) -> None:
    told = fewshot("train", "--help").output
    assert all(f"\n  {name} " in told for name in list_meta_learners())
    told = fewshot("train", "maml", "--help").output
    for section in (
        "Options:",
        "Training tasks:",
        "Optimisation:",
        "Validation:",
        "Settings of the method, for --set:",
    ):
        assert f"\n{section}\n" in told
    assert "inner_rate=0.4" in told
    assert "[default: 10000]" in told
    assert "Finn et al. 2017" in told


def test_every_setting_has_an_option(fewshot) -> None:
    told = fewshot("train", "protonet", "--help").output
    for field in fields(MetaTraining):
        assert f"--{field.name.replace('_', '-')}" in told


def test_train_and_the_same_command_again(fewshot, photos, tmp_path) -> None:
    command = ["train", "protonet", "--dataset", "photos@train", "--validation", "val", "--out", "run", *SHORT]
    result = fewshot(*command, "--set", "metric=cosine", "--augmentation", "crop", "--augmentation", "flip")
    assert result.exit_code == 0, result.stderr
    start, *rows = result.stderr.splitlines()
    assert start.startswith("protonet trains fewshot:conv4-omniglot on 15 images, 5 classes of ")
    assert "validates on 9 images, 3 classes" in start
    assert start.endswith("into run")
    assert [row.split(":")[0] for row in rows] == ["step 2", "step 4"]
    assert "% in 5 tasks, 3-way 1-shot; the best of 2 looks" in result.stdout
    assert 'MetaModel.load("run/best.safetensors")' in result.stdout
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert record["learner"]["settings"]["metric"] == "cosine"
    assert record["training"]["augmentation"] == ["crop", "flip"]
    again = fewshot(*command, "--set", "metric=cosine", "--augmentation", "crop", "--augmentation", "flip", "--json")
    assert again.stderr.endswith("goes on with run\n")
    told = json.loads(again.stdout)
    assert (told["steps"], told["checkpoint"], told["validation"]["looks"]) == (4, "run/best.safetensors", 2)
    assert 0 <= told["validation"]["accuracy"] <= 1
    other = fewshot(*command)
    assert other.exit_code == 2
    assert "run belongs to another training: learner.settings.metric is 'cosine' there" in other.stderr


def test_the_engine_is_one_line(fewshot, photos) -> None:
    result = fewshot(
        "train", "maml", "--dataset", "photos@train", "--out", "run", *SHORT, "--set", "evaluation_steps=1"
    )
    assert result.exit_code == 0, result.stderr
    _, engine, *rows = result.stderr.splitlines()
    assert engine.startswith("engine: batched on cpu, ")
    assert [row.split(":")[0] for row in rows] == ["step 2", "step 4"]


def test_without_validation(fewshot, photos) -> None:
    result = fewshot("train", "baseline", "--dataset", "photos@train", "--out", "run", *SHORT, "--batch", "6", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["validation"] is None
    assert "validation" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["protonot"], "no meta-learner is called 'protonot'; near: protonet"),
        (["protonet", "--set", "metric"], "--set takes name=value, found 'metric'"),
        (["protonet", "--set", "speed=1"], "protonet has no setting 'speed'; its settings and defaults: batch_norm="),
        (["protonet", "--set", "metric=round"], "protonet: metric must be 'euclidean' or 'cosine', found 'round'"),
        (["protonet", "--ways", "1"], "ways must be an integer of at least 2, found 1"),
        (["protonet", "--ways", "9"], "too few classes with 2 items: 9 needed, 5 found"),
        (["protonet", "--augmentation", "blur"], "there is no augmentation 'blur'"),
        (["protonet", "--dataset", "photoz"], "no data set is called 'photoz'"),
        (["protonet", "--backbone", "fewshot:conv5"], "no backbone is called 'fewshot:conv5'"),
        (["protonet", "--pretrained"], "fewshot:conv4-omniglot has no pretrained weights"),
        (["protonet", "--validation", "train"], "training and validation share 5 classes"),
        (["protonet", "--within", "alphabet"], "no grouping is called 'alphabet'"),
        (["baseline", "--within", "alphabet"], "baseline is trained on labelled batches of all classes, and cannot k"),
        (["rfs", "--set", "teacher=none.safetensors"], "none.safetensors does not exist"),
        (["protonet", "--out", "photos/train/train0/0.png"], "photos/train/train0/0.png/training.json cannot be writ"),
        (
            ["maml", "--validation", "val", "--validation-ways", "2"],
            "maml has 3 outputs, one a class, and cannot do 2-",
        ),
    ],
)
def test_errors_are_one_line(fewshot, photos, arguments, message) -> None:
    method, *changes = arguments
    usual = ["--dataset", "photos@train", "--out", "run", *SHORT]
    result = fewshot("train", method, *usual, *changes)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith(f"fewshot: {message}")


def test_splits_that_are_meant_where_none_is_named(shared_data) -> None:
    training, validation = _load("omniglot", None, False)
    assert (training.split, validation.split) == ("train", "val")
    training, validation = _load("omniglot@background", None, False)
    assert (training.split, validation) == ("background", None)
    assert _load("omniglot", "none", False)[1] is None


def test_ctrl_c_keeps_the_last_checkpoint(program, fewshot, photos, tmp_path) -> None:
    command = ["train", "protonet", "--dataset", "photos@train", "--out", "run", *TRAIN, "--validate-every", "2"]
    process = program(sys.executable, "-m", "fewshot", *command)
    while not (tmp_path / "run" / "log.csv").exists():
        assert process.poll() is None, process.stderr.read()
        sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    last = said.splitlines()[-1]
    assert last == "fewshot: stopped; what is finished is kept, and the same command goes on from there"
    assert "Traceback" not in said
    assert (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.slow
def test_torchrun(program, fewshot, photos, tmp_path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "fewshot"]
    command = [
        "train",
        "protonet",
        "--dataset",
        "photos@train",
        "--validation",
        "val",
        "--out",
        "run",
        *SHORT,
        "--json",
    ]
    process = program(*torchrun, *command)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["steps"] == 4
    assert stderr.count("protonet trains") == 1
    assert stderr.count("step 4:") == 1
