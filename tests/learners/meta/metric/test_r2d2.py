import numpy as np
import pytest

from fewshot.errors import InvalidInput
from fewshot.learners.meta import R2D2


@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 2), (2, 40)])
def test_loss_follows_the_paper(ways, shots, small_model, image_tasks, features_in_training):
    """Ridge regression solved in the dimensions of the features; with more items than these, and fewer."""
    learner, tasks = R2D2(penalty=0.5, scale=4.0), image_tasks(ways=ways, shots=shots)
    model = small_model(learner)
    penalty, scale = np.exp(model.head.log_penalty.item()), np.exp(model.head.log_scale.item())
    losses, found = [], learner.backward(model, tasks, 0.0)
    for task, (x, query) in enumerate(zip(*features_in_training(model, tasks), strict=True)):
        targets = np.eye(ways)[tasks.support_labels[task].numpy()]
        weight = np.linalg.solve(x.T @ x + penalty * np.eye(64), x.T @ targets)
        logits = scale * query @ weight
        np.testing.assert_allclose(found.logits[task], logits, atol=1e-8)
        right = tasks.query_labels[task].numpy()
        losses += [np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, right, strict=True)]
    assert float(found.loss) == pytest.approx(np.mean(losses), abs=1e-9)


def test_penalty_and_scale_start_as_set():
    head = R2D2(penalty=0.5, scale=4.0).head(8)
    assert head.log_penalty.exp().item() == pytest.approx(0.5)
    assert head.log_scale.exp().item() == pytest.approx(4.0)


@pytest.mark.parametrize("setting", ["penalty", "scale"])
def test_settings_must_be_above_zero(setting):
    with pytest.raises(InvalidInput, match=f"r2d2: {setting} must be above zero, found 0"):
        R2D2(**{setting: 0})
