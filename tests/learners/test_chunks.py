import torch

from fewshot.learners import chunks as module
from fewshot.learners import create_learner
from fewshot.learners.chunks import chunks


def test_slices_hold_every_task_once(monkeypatch):
    features = torch.zeros(10, 4, 8)
    assert [len(features[part]) for part in chunks(features)] == [10]
    monkeypatch.setattr(module, "CHUNK_BYTES", 3 * 4 * 8 * 4)
    assert [len(features[part]) for part in chunks(features)] == [3, 3, 3, 1]
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    assert len(chunks(features)) == 10


def test_predictions_do_not_depend_on_them(make_tasks, monkeypatch):
    tasks = make_tasks(tasks=5)
    for name in ("tim-gd", "alpha-tim", "transductive-finetune"):
        head = create_learner(name).fit(tasks.support, tasks.labels, 5)
        together = head(tasks.query)
        with monkeypatch.context() as patch:
            patch.setattr(module, "CHUNK_BYTES", 2 * 20 * 16 * 4)
            torch.testing.assert_close(head(tasks.query).softmax(2), together.softmax(2), atol=1e-5, rtol=0)
