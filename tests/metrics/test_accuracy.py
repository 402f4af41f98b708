import pytest
import torch
from sklearn.metrics import accuracy_score

from fewshot.errors import InvalidInput
from fewshot.metrics import accuracy_of_predictions, episode_accuracy

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 9, 4, generator=GENERATOR)
LABELS = torch.randint(4, (6, 9), generator=GENERATOR)
PADDED = LABELS.clone()
PADDED[2, 5:] = PADDED[4, 1:] = -1


@pytest.mark.parametrize("labels", [LABELS, PADDED], ids=["full", "padded"])
def test_accuracy_of_each_task_equals_sklearn(labels):
    expected = [
        accuracy_score(own[own >= 0], logits.argmax(-1)[own >= 0]) for own, logits in zip(labels, LOGITS, strict=True)
    ]
    assert episode_accuracy(LOGITS, labels).tolist() == pytest.approx(expected)
    assert accuracy_of_predictions(LOGITS.argmax(-1), labels).tolist() == pytest.approx(expected)


def test_equal_logits_predict_the_first_class():
    labels = torch.tensor([[0, 1, 2, 0]])
    assert episode_accuracy(torch.zeros(1, 4, 3), labels).tolist() == [0.5]


def test_what_stands_under_padding_does_not_count():
    logits = LOGITS.clone()
    logits[PADDED < 0] = torch.nan
    assert torch.equal(episode_accuracy(logits, PADDED), episode_accuracy(LOGITS, PADDED))


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS[0], LABELS, r"logits must be \(tasks, queries, ways\).*found \(9, 4\) and \(6, 9\)"),
        (LOGITS, LABELS[:, 1:], r"found \(6, 9, 4\) and \(6, 8\)"),
        (LOGITS[:0], LABELS[:0], r"found \(0, 9, 4\)"),
        (LOGITS, LABELS + 1, "labels must be below the 4 ways, found 4"),
        (LOGITS, LABELS.float(), "labels must be integers"),
        (LOGITS, LABELS.clone().index_fill(0, torch.tensor(3), -1), "task 3 has no queries"),
        (LOGITS.clone().index_fill(0, torch.tensor(1), torch.nan), LABELS, "logits of task 1 hold NaN, as do 1 of 6"),
    ],
)
def test_refuses(logits, labels, message):
    with pytest.raises(InvalidInput, match=message):
        episode_accuracy(logits, labels)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (LABELS[:, 1:], r"predictions and labels must have one shape, found \(6, 8\) and \(6, 9\)"),
        (LABELS.float(), r"predictions must be integers \(tasks, queries\), found torch.float32"),
        (LABELS[0], r"predictions must be integers \(tasks, queries\)"),
    ],
)
def test_predictions_refuses(predictions, message):
    with pytest.raises(InvalidInput, match=message):
        accuracy_of_predictions(predictions, LABELS)
