"""RFS taught by an earlier training of itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.special import log_softmax
from tiny import marks

from fewshot.errors import FingerprintMismatch, InvalidInput, UnreadableFile
from fewshot.fingerprint import fingerprint
from fewshot.learners.meta import RFS, Tasks
from fewshot.learners.meta.metric.rfs import divergence


def batch(model, classes=4, items=6):
    images = torch.rand(1, items, *model.network.preprocess.shape)
    labels = torch.randint(classes, (1, items))
    return Tasks(images[:, :0], labels[:, :0], images, labels, classes)


def test_the_divergence_is_that_of_softened_probabilities():
    logits, taught = torch.randn(5, 7, dtype=torch.float64), 3 * torch.randn(5, 7, dtype=torch.float64)
    student, teacher = (log_softmax(each.numpy() / 4, 1) for each in (logits, taught))
    expected = 16 * (np.exp(teacher) * (teacher - student)).sum(1).mean()
    assert float(divergence(logits, taught, 4.0)) == pytest.approx(expected, abs=1e-12)


def test_a_student_learns_labels_and_teacher_in_the_shares_told(train, tmp_path):
    train(tmp_path / "first", "rfs", steps=6)
    teacher = str(tmp_path / "first" / "last.safetensors")
    student = train(tmp_path / "second", "rfs", {"teacher": teacher}, steps=3)
    taught = type(student).load(teacher, "cpu").model.eval()
    ways = student.record["ways"]
    asked = batch(student, ways)
    student.model.eval()
    loss = float(RFS(teacher=teacher, soft=0.3).backward(student.model, asked, 0.0).loss)
    with torch.no_grad():
        logits, soft = student.model(asked.query[0]).double(), taught(asked.query[0]).double()
    labels = torch.nn.functional.cross_entropy(logits, asked.query_labels[0])
    assert loss == pytest.approx(float(0.7 * labels + 0.3 * divergence(logits, soft, 4.0)), abs=1e-5)
    assert "teacher" not in " ".join(student.model.state_dict()), "the teacher is not saved with its student"
    assert type(student).load(tmp_path / "second" / "last.safetensors", "cpu").learner.teacher == teacher


SHORT = {"steps": 2, "validation": None, "batch": 8}


def taught_by(train, folder, learner="rfs", **changes) -> dict:
    """Settings of a student, whose teacher is trained here."""
    train(folder / "first", learner, **{**SHORT, **changes})
    return {"teacher": str(folder / "first" / "last.safetensors")}


def test_a_teacher_of_other_classes_is_refused(train, tmp_path, held_out):
    """Of fewer, and of as many others."""
    for number, (dataset, classes) in enumerate([(held_out, 6), (marks(seed=3, name="others"), 12)]):
        settings = taught_by(train, tmp_path / str(number), dataset=dataset)
        with pytest.raises(InvalidInput) as raised:
            train(tmp_path / "second", "rfs", settings, **SHORT)
        assert f"a model of rfs, trained on {classes} classes of {dataset.name} (all" in str(raised.value)
        assert "needed is one trained on labelled batches of the same images, 12 classes of marks (all" in str(
            raised.value
        )
        assert not (tmp_path / "second").exists()


def test_a_teacher_that_was_trained_on_tasks_is_refused(train, tmp_path):
    settings = taught_by(train, tmp_path, "protonet")
    with pytest.raises(
        InvalidInput, match=r"rfs: the teacher .*last\.safetensors is a model of protonet, trained on t"
    ):
        train(tmp_path / "second", "rfs", settings, **SHORT)


def test_teacher_and_student_turn_classes_alike(train, tmp_path):
    settings = taught_by(train, tmp_path, rotations=True)
    with pytest.raises(
        InvalidInput, match="trained on 48 classes .* with rotations; needed .* 12 classes .*without rot"
    ):
        train(tmp_path / "second", "rfs", settings, **SHORT)
    student = train(tmp_path / "second", "rfs", settings, **SHORT, rotations=True)
    assert student.record["ways"] == 48


def test_a_teacher_that_takes_its_images_otherwise_is_refused(train, tmp_path):
    settings = taught_by(train, tmp_path, backbone="fewshot:conv4")
    with pytest.raises(
        InvalidInput, match=r"is a fewshot:conv4, .* and the student's test:tiny takes them by .*; train a t"
    ):
        train(tmp_path / "second", "rfs", settings, **SHORT)


def test_a_teacher_of_another_architecture_teaches(train, tmp_path):
    settings = taught_by(train, tmp_path, "baseline++", backbone="fewshot:conv4-omniglot")
    student = train(tmp_path / "second", "rfs", settings, **SHORT)
    assert student.record["files"] == {"teacher": fingerprint(Path(settings["teacher"]).read_bytes())}
    assert student.record["backbone"] != "fewshot:conv4-omniglot"


def test_a_teacher_that_is_no_checkpoint(train, tmp_path):
    with pytest.raises(UnreadableFile, match=r"none\.safetensors does not exist"):
        train(tmp_path / "second", "rfs", {"teacher": str(tmp_path / "none.safetensors")}, **SHORT)


def test_a_teacher_is_known_by_its_content(train, tmp_path):
    """Another file under the same path is another training; the same file elsewhere is the same."""
    settings = taught_by(train, tmp_path)
    first = tmp_path / "first" / "last.safetensors"
    whole = {**SHORT, "steps": 4, "validate_every": 2}

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", "rfs", settings, told=stop, **whole)
    train(tmp_path / "whole", "rfs", settings, **whole)
    record = json.loads((tmp_path / "parts" / "training.json").read_text())
    assert record["files"] == {"teacher": fingerprint(first.read_bytes())}
    moved = first.rename(tmp_path / "moved.safetensors")
    train(tmp_path / "first again", "rfs", **SHORT, seed=1)
    (tmp_path / "first again" / "last.safetensors").rename(first)
    with pytest.raises(
        FingerprintMismatch, match=r"belongs to another training: files\.teacher is .* there and .* here"
    ):
        train(tmp_path / "parts", "rfs", settings, **whole)
    train(tmp_path / "parts", "rfs", {"teacher": str(moved)}, **whole)
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_learner_that_trains_again_reads_its_teacher_again(train, tmp_path):
    """One learner, two trainings, another teacher under the same path between them."""
    path = tmp_path / "teacher.safetensors"
    student = RFS(teacher=str(path), soft=1.0)
    losses = []
    for seed in (1, 2):
        train(tmp_path / f"first {seed}", "rfs", **SHORT, seed=seed)
        (tmp_path / f"first {seed}" / "last.safetensors").replace(path)
        trained = train(tmp_path / f"second {seed}", student, **SHORT)
        trained.model.eval()
        torch.manual_seed(0)
        asked = batch(trained, 12)
        losses.append(float(student.backward(trained.model, asked, 0.0).loss))
        fresh = RFS(teacher=str(path), soft=1.0).backward(trained.model, asked, 0.0)
        assert losses[-1] == float(fresh.loss)
    assert losses[0] != losses[1]


def test_a_folder_of_before_knows_its_teacher_by_path(train, tmp_path):
    """Records had no fingerprints of files."""
    settings = taught_by(train, tmp_path)
    changes = {**SHORT, "steps": 4, "validate_every": 2}

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "second", "rfs", settings, told=stop, **changes)
    last = tmp_path / "second" / "last.safetensors"
    with safe_open(last, "pt") as file:
        header = file.metadata()
    record = json.loads(header["record"])
    del record["files"]
    save_file(load_file(last), last, {**header, "record": json.dumps(record)})
    other = tmp_path / "other.safetensors"
    other.write_bytes((tmp_path / "first" / "last.safetensors").read_bytes())
    with pytest.raises(FingerprintMismatch, match=r"learner\.settings\.teacher is "):
        train(tmp_path / "second", "rfs", {"teacher": str(other)}, **changes)
    assert train(tmp_path / "second", "rfs", settings, **changes).record["files"]


def test_a_student_is_loaded_without_its_teacher(train, tmp_path):
    student = train(tmp_path / "second", "rfs", taught_by(train, tmp_path), **SHORT)
    (tmp_path / "first" / "last.safetensors").unlink()
    again = type(student).load(tmp_path / "second" / "last.safetensors", "cpu")
    assert again.record["files"].keys() == {"teacher"}


@pytest.mark.parametrize("settings", [{"soft": 1.5}, {"temperature": 0.0}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(InvalidInput, match="soft is a share between 0 and 1|temperature must be above zero"):
        RFS(**settings)
