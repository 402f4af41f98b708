import numpy as np
import pytest
import torch
from sklearn.metrics import top_k_accuracy_score

from fewshot.errors import InvalidInput
from fewshot.metrics import episode_accuracy, top_k_accuracy

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(5, 12, 7, generator=GENERATOR)
LABELS = torch.randint(7, (5, 12), generator=GENERATOR)
LABELS[1, 6:] = -1


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_top_k_equals_sklearn(k):
    expected = []
    for logits, labels in zip(LOGITS.numpy(), LABELS.numpy(), strict=True):
        real = labels >= 0
        if k == 7:
            expected.append(1.0)
        else:
            expected.append(top_k_accuracy_score(labels[real], logits[real], k=k, labels=np.arange(7)))
    assert top_k_accuracy(LOGITS, LABELS, k).tolist() == pytest.approx(expected)


def test_ties_rank_by_class_number_so_that_nothing_is_won_by_saying_nothing():
    labels = torch.tensor([[0, 1, 2, 3]])
    assert top_k_accuracy(torch.zeros(1, 4, 4), labels, 2).tolist() == [0.5]
    coarse = (LOGITS * 2).round()
    assert torch.equal(top_k_accuracy(coarse, LABELS, 1), episode_accuracy(coarse, LABELS))


@pytest.mark.parametrize("k", [0, 8])
def test_refuses_k_out_of_range(k):
    with pytest.raises(InvalidInput, match=f"k must lie between 1 and the 7 ways, found {k}"):
        top_k_accuracy(LOGITS, LABELS, k)


def test_refuses_nan():
    with pytest.raises(InvalidInput, match="logits of task 0 hold NaN"):
        top_k_accuracy(LOGITS * torch.nan, LABELS, 2)
