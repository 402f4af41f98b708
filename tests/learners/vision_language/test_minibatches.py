import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import TipAdapterF
from fewshot.learners.vision_language.minibatches import loss_slope


def test_tasks_of_other_numbers_of_minibatches_train_as_they_do_alone(make_tasks):
    sizes = {"shots": 3}, {"shots": 1}, {"shots": 3}, {"shots": 2}
    alone = [make_tasks(tasks=1, seed=seed, **size) for seed, size in enumerate(sizes)]
    learner = TipAdapterF(batch=4, rate=0.01)
    heads = [learner.fit(each.support, each.labels, 5, words=each.words) for each in alone]
    support, labels = torch.zeros(4, 19, 16), torch.full((4, 19), -1)
    for task, each in enumerate(alone):
        support[task, : each.labels.shape[1]], labels[task, : each.labels.shape[1]] = each.support[0], each.labels[0]
    words = type(alone[0].words)(torch.cat([each.words.vectors for each in alone]), scale=20.0)
    together = learner.fit(support, labels, 5, words=words)
    for task, head in enumerate(heads):
        torch.testing.assert_close(together.keys[task, : head.keys.shape[1]], head.keys[0], atol=1e-6, rtol=0)


def test_every_item_is_seen_in_each_epoch_in_another_order(make_tasks):
    tasks = make_tasks(tasks=2)
    seen = []

    def note(features, labels, parameter):
        seen.append(features[..., 0])
        return [torch.zeros_like(parameter)]

    TipAdapterF(batch=4, epochs=3).train(note, tasks.support, tasks.labels, [], [torch.zeros(2, 1)])
    assert [part.shape[1] for part in seen] == 3 * [4, 4, 4, 3]
    epochs = [torch.cat(seen[first : first + 4], 1) for first in (0, 4, 8)]
    for epoch in epochs:
        torch.testing.assert_close(epoch.sort(1).values, tasks.support[..., 0].sort(1).values)
    assert not torch.equal(epochs[0], epochs[1])


def test_the_slope_is_that_of_the_mean_log_loss():
    logits = torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([[0, 1, 2, 3, 1, 0], [2, 1, 0, -1, -1, -1]])
    present = torch.tensor([[True, True, True, True], [True, True, True, False]])
    first = torch.nn.functional.cross_entropy(logits[0].T, labels[0])
    second = torch.nn.functional.cross_entropy(logits[1, :3, :3].T, labels[1, :3])
    (first + second).backward()
    torch.testing.assert_close(loss_slope(logits.detach(), labels, present), logits.grad)


@pytest.mark.parametrize("setting", ["rate", "epsilon", "epochs", "batch"])
def test_settings_of_training_must_be_above_zero(setting):
    with pytest.raises(InvalidInput, match=f"tip-adapter-f: {setting} must be above zero, found 0"):
        TipAdapterF(**{setting: 0})
    with pytest.raises(InvalidInput, match="tip-adapter-f: decay must be zero or more, found -1"):
        TipAdapterF(decay=-1)
