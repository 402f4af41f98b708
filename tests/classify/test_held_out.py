import pytest
import torch

from fewshot.classify import held_out
from fewshot.classify.examples import Examples
from fewshot.classify.held_out import held_out_logits, stratified_folds
from fewshot.learners import create_learner


def examples(counts=(4, 2, 3, 1), dim=5, seed=0):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=draw)]
    features = torch.randn(len(counts), dim, generator=draw)[labels] + torch.randn(len(labels), dim, generator=draw)
    return Examples(features, labels, len(counts))


@pytest.mark.parametrize("count", [2, 3, 10])
def test_a_class_lies_in_as_many_folds_as_it_can(count):
    labels = examples((7, 2, 25, 1, 3)).labels
    folds = stratified_folds(labels, count)
    assert (folds[labels == 3] == -1).all()
    assert stratified_folds(labels, count, lone=True).min() == 0
    for label in (0, 1, 2, 4):
        sizes = folds[labels == label].bincount(minlength=count)
        assert sizes.max() - sizes.min() <= 1
        assert (sizes > 0).sum() == min(count, int((labels == label).sum()))
    assert folds.max() == min(count, len(labels)) - 1


@pytest.mark.parametrize("learner", ["prototypical", "ridge", "simpleshot", "nearest-neighbour"])
@pytest.mark.parametrize("count", [3, 10])
@pytest.mark.parametrize("memory", [1, 1 << 30])
def test_each_fold_is_scored_by_the_others(learner, count, memory, monkeypatch):
    monkeypatch.setattr(held_out, "MEMORY", memory)
    known, learner = examples(), create_learner(learner)
    folds = stratified_folds(known.labels, count)
    logits = held_out_logits(learner, known, folds)
    for row, fold in enumerate(folds.tolist()):
        if fold < 0:
            assert logits[row].isnan().all()
            continue
        others = known.select((folds != fold).nonzero()[:, 0])
        alone = others.fit(learner)(known.features[None, row : row + 1])[0, 0]
        torch.testing.assert_close(logits[row].float(), alone, rtol=1e-4, atol=1e-4)


def test_what_is_held_out_is_not_seen():
    known, learner = examples(), create_learner("simpleshot")  # which centres by the mean of what it sees
    folds = torch.arange(len(known.labels)).masked_fill(known.counts[known.labels] < 2, -1)
    before = held_out_logits(learner, known, folds)
    row = int((known.labels == 0).nonzero()[0])
    labels = known.labels.clone()
    labels[row] = 2
    after = held_out_logits(learner, Examples(known.features, labels, 4), folds)
    torch.testing.assert_close(after[row], before[row])
