import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import MatchingFCE
from fewshot.learners.meta import MatchingNetwork


def cosine(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 2)])
def test_loss_follows_the_paper(ways, shots, small_model, image_tasks, features_in_training):
    """Minus the log of the attention that the support of the right class gets (eq. 1, 2 and 6)."""
    learner, tasks = MatchingNetwork(), image_tasks(ways=ways, shots=shots)
    model = small_model(learner)
    supports, queries = features_in_training(model, tasks)
    losses = []
    for task in range(2):
        for x, right in zip(queries[task], tasks.query_labels[task].numpy(), strict=True):
            attention = np.exp([cosine(x, item) for item in supports[task]])
            attention /= attention.sum()
            losses.append(-np.log(attention[tasks.support_labels[task].numpy() == right].sum()))
    assert float(learner.backward(model, tasks, 0.0).loss) == pytest.approx(np.mean(losses), abs=1e-10)


def test_full_context_is_that_of_the_learner(small_model, image_tasks, random_weights):
    """The weights of `matching-fce` serve here, and give its logits."""
    trained, tasks = random_weights(MatchingFCE(hidden=5, steps=3, temperature=0.5), 64), image_tasks()
    learner = MatchingNetwork(full_context=True, hidden=5, steps=3, temperature=0.5)
    model = small_model(learner).float().eval()
    model.head.load_state_dict(trained.loaded(torch.zeros(1, 64)).state_dict())
    tasks = tasks.to(dtype=torch.float32)
    with torch.no_grad():
        support, query = (model.backbone(x.flatten(0, 1)).unflatten(0, (2, -1)) for x in (tasks.support, tasks.query))
    expected = trained.fit(support, tasks.support_labels, 3)(query)
    torch.testing.assert_close(learner.logits(model, tasks), expected, atol=1e-5, rtol=1e-5)


def test_full_context_starts_as_no_change(image_tasks):
    backbone, tasks = torch.nn.Sequential(torch.nn.Flatten()).double(), image_tasks()
    with_context = MatchingNetwork(full_context=True)
    plain = MatchingNetwork()
    torch.testing.assert_close(
        with_context.logits(with_context.model(backbone, 64, 3).double(), tasks),
        plain.logits(plain.model(backbone, 64, 3), tasks),
    )


@pytest.mark.parametrize("setting", ["hidden", "steps", "temperature"])
def test_settings_must_be_above_zero(setting):
    with pytest.raises(InvalidInput, match=f"matching: {setting} must be above zero, found 0"):
        MatchingNetwork(**{setting: 0})
