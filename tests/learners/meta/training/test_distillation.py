"""RFS taught by an earlier training of itself."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from fewshot.errors import InvalidInput
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


def test_a_teacher_of_other_classes_is_refused(train, tmp_path, held_out):
    train(tmp_path / "first", "rfs", steps=2, dataset=held_out, validation=None)
    settings = {"teacher": str(tmp_path / "first" / "last.safetensors")}
    with pytest.raises(InvalidInput, match=r"the teacher .* tells \d+ base classes apart and this training has \d+"):
        train(tmp_path / "second", "rfs", settings, steps=2)


@pytest.mark.parametrize("settings", [{"soft": 1.5}, {"temperature": 0.0}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(InvalidInput, match="soft is a share between 0 and 1|temperature must be above zero"):
        RFS(**settings)
