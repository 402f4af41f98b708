import torch

from fewshot.learners.prototypes import class_means, one_hot


def test_one_hot_of_padding_is_zero():
    found = one_hot(torch.tensor([[1, -1, 0]]), 2, torch.zeros(1, dtype=torch.float64))
    assert found.dtype == torch.float64
    assert found.tolist() == [[[0, 1], [0, 0], [1, 0]]]


def test_means_leave_out_padding_and_absent_classes(make_tasks):
    tasks = make_tasks(shots=4)
    labels = tasks.labels.clone()
    labels[:, ::3] = -1
    labels[labels == 4] = 0
    found = class_means(tasks.support, labels, 5)
    for task in range(4):
        for way in range(4):
            members = tasks.support[task][labels[task] == way]
            if len(members):
                torch.testing.assert_close(found[task, way], members.mean(0))
    assert torch.equal(found[:, 4], torch.zeros(4, 16))
