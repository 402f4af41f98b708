import numpy as np
import pytest

from fewshot.errors import InvalidInput
from fewshot.learners.meta import MetaFEAT


def adapted(items, weights):
    """Self-attention of one head with residual and layer norm, one item at a time."""
    rows = []
    for x in items:
        scores = np.array([(weights["queries.weight"] @ x) @ (weights["keys.weight"] @ y) for y in items])
        share = np.exp(scores / np.sqrt(len(weights["keys.weight"])))
        share /= share.sum()
        value = sum(part * (weights["values.weight"] @ y) for part, y in zip(share, items, strict=True))
        row = x + weights["output.weight"] @ value
        row = (row - row.mean()) / np.sqrt(row.var() + 1e-5)
        rows.append(row * weights["norm.weight"] + weights["norm.bias"])
    return np.array(rows)


def scaled(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True) * np.sqrt(x.shape[-1])


def losses(items, centres, labels, temperature):
    logits = np.array([[-np.sum((x - centre) ** 2) / temperature for centre in centres] for x in items])
    return [np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)]


@pytest.mark.parametrize("contrast", [0.0, 0.7])
@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 2)])
def test_loss_follows_the_paper(ways, shots, contrast, small_model, image_tasks, features_in_training):
    """Queries against adapted means ; support against the centres of classes adapted alone."""
    learner, tasks = MetaFEAT(hidden=6, contrast=contrast), image_tasks(ways=ways, shots=shots)
    model = small_model(learner)
    weights = {name: tensor.detach().numpy() for name, tensor in model.head.named_parameters()}
    temperature, of_queries, of_support = 0.1 * 64, [], []
    for task, (support, query) in enumerate(zip(*features_in_training(model, tasks), strict=True)):
        support, query = scaled(support), scaled(query)
        labels, asked = tasks.support_labels[task].numpy(), tasks.query_labels[task].numpy()
        means = adapted(np.array([support[labels == way].mean(0) for way in range(ways)]), weights)
        of_queries += losses(query, means, asked, temperature)
        alone = [adapted(np.concatenate([support[labels == way], query[asked == way]]), weights) for way in range(ways)]
        centres = [each.mean(0) for each in alone]
        for way in range(ways):
            of_support += losses(alone[way][:shots], centres, [way] * shots, temperature)
    expected = np.mean(of_queries) + contrast * np.mean(of_support)
    assert float(learner.backward(model, tasks, 0.0).loss) == pytest.approx(expected, abs=1e-9)


def test_attention_has_as_many_dimensions_as_features_by_default():
    assert MetaFEAT().head(64).keys.weight.shape == (64, 64)
    assert MetaFEAT(hidden=8).head(64).keys.weight.shape == (8, 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": -1}, "feat: hidden must be zero or more, found -1"),
        ({"temperature": 0.0}, "feat: temperature must be above zero, found 0.0"),
        ({"contrast": -0.1}, "feat: contrast must be zero or more, found -0.1"),
    ],
)
def test_settings_out_of_range_are_told(settings, message):
    with pytest.raises(InvalidInput, match=message):
        MetaFEAT(**settings)
