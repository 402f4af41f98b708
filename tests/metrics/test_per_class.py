import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from fewshot.errors import InvalidInput
from fewshot.metrics import ClassCounts, per_class_scores

GENERATOR = torch.Generator().manual_seed(0)
TASKS, QUERIES, WAYS, CLASSES = 20, 12, 4, 9
DRAWN = torch.stack([torch.randperm(CLASSES - 1, generator=GENERATOR)[:WAYS] for _ in range(TASKS)])
LABELS = torch.randint(WAYS, (TASKS, QUERIES), generator=GENERATOR)
LABELS[3, 7:] = -1
PREDICTIONS = torch.where(
    torch.rand(TASKS, QUERIES, generator=GENERATOR) < 0.6,
    LABELS.clamp(min=0),
    torch.randint(WAYS, (TASKS, QUERIES), generator=GENERATOR),
)


def flat(predictions, labels, classes):
    pairs = [
        (classes[t, labels[t, q]].item(), classes[t, predictions[t, q]].item())
        for t in range(len(labels))
        for q in range(labels.shape[1])
        if labels[t, q] >= 0
    ]
    return zip(*pairs, strict=True)


def test_scores_equal_sklearn_with_nan_for_what_was_never_seen():
    actual, guessed = flat(PREDICTIONS, LABELS, DRAWN)
    expected = precision_recall_fscore_support(actual, guessed, labels=range(CLASSES), zero_division=np.nan)
    found = per_class_scores(PREDICTIONS, LABELS, DRAWN, CLASSES)
    for name, reference in zip(("precision", "recall", "f1", "queries"), expected, strict=True):
        np.testing.assert_allclose(getattr(found, name).numpy(), reference, err_msg=name)
    assert found.f1.isnan().tolist() == [False] * (CLASSES - 1) + [True]


def test_counts_add_up_batch_by_batch():
    counts = ClassCounts(CLASSES)
    for part in (slice(0, 3), slice(3, 4), slice(4, TASKS)):
        counts.update(PREDICTIONS[part], LABELS[part], DRAWN[part])
    whole = per_class_scores(PREDICTIONS, LABELS, DRAWN, CLASSES)
    assert torch.equal(counts.scores().f1.nan_to_num(-1), whole.f1.nan_to_num(-1))


def test_count_of_classes_is_by_default_up_to_the_largest_drawn():
    assert len(per_class_scores(PREDICTIONS, LABELS, DRAWN).recall) == int(DRAWN.max()) + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": DRAWN[1:]}, r"classes must be the 9 of the data set for 20 tasks, found shape \(19, 4\)"),
        ({"classes": DRAWN + 3}, "classes must be the 9 of the data set for 20 tasks, .* labels up to 10"),
        ({"predictions": PREDICTIONS + 1}, r"predictions must lie in \[0, 4 ways\)"),
        ({"predictions": PREDICTIONS - 1}, r"predictions must lie in \[0, 4 ways\)"),
        ({"labels": LABELS + 1}, r"labels must lie in \[0, 4 ways\)"),
        ({"labels": LABELS[:, 1:]}, "predictions and labels must have one shape"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(InvalidInput, match=message):
        ClassCounts(CLASSES).update(**({"predictions": PREDICTIONS, "labels": LABELS, "classes": DRAWN} | changes))


def test_a_class_that_was_not_drawn_cannot_be_predicted():
    """Tasks with fewer classes than others pad them with -1."""
    classes = torch.tensor([[2, 5, -1]])
    with pytest.raises(InvalidInput, match="predictions hold a class that its task did not draw"):
        ClassCounts(6).update(torch.tensor([[2, 1]]), torch.tensor([[0, 1]]), classes)
