import numpy as np
import pytest

from fewshot.errors import InvalidInput
from fewshot.learners.meta import MetaBaseline, ProtoNet


def cross_entropy(logits, labels):
    """The mean over queries of minus the log of the softmax."""
    losses = [np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)]
    return np.mean(losses)


def unit(x):
    return x / np.linalg.norm(x)


def reference(support, labels, query, ways, closeness):
    """The closeness of each query to the mean of each class, one pair at a time."""
    means = [np.mean(support[labels == way], axis=0) for way in range(ways)]
    return np.array([[closeness(x, mean) for mean in means] for x in query])


CASES = {
    "euclidean": (ProtoNet(), None, lambda x, mean: -np.sum((x - mean) ** 2)),
    "cosine": (ProtoNet(metric="cosine", scale=3.0), 3.0, lambda x, mean: unit(x) @ unit(mean)),
    "meta-baseline": (MetaBaseline(), 10.0, lambda x, mean: unit(x) @ unit(mean)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 2), (5, 4)])
def test_loss_follows_the_paper(case, ways, shots, small_model, image_tasks, features_in_training):
    learner, scale, closeness = CASES[case]
    tasks = image_tasks(ways=ways, shots=shots)
    model = small_model(learner)
    if scale is not None:
        model.head.scale.data.fill_(scale)
    supports, queries = features_in_training(model, tasks)
    losses = []
    found = learner.backward(model, tasks, 0.0)
    for task in range(2):
        labels, asked = tasks.support_labels[task].numpy(), tasks.query_labels[task].numpy()
        expected = (scale or 1) * reference(supports[task], labels, queries[task], ways, closeness)
        np.testing.assert_allclose(found.logits[task], expected, atol=1e-10)
        losses.append(cross_entropy(expected, asked))
    assert float(found.loss) == pytest.approx(np.mean(losses), abs=1e-10)


@pytest.mark.parametrize("learner", [ProtoNet(metric="cosine", scale=3.0), MetaBaseline(scale=3.0)])
def test_scale_is_learned_from_its_start(learner):
    head = learner.head(8)
    assert [parameter.item() for parameter in head.parameters()] == [3.0]


def test_distances_have_nothing_to_learn():
    assert not list(ProtoNet().head(8).parameters())


@pytest.mark.parametrize(("learner", "name"), [(ProtoNet, "protonet"), (MetaBaseline, "meta-baseline")])
def test_scale_must_be_above_zero(learner, name):
    with pytest.raises(InvalidInput, match=f"{name}: scale must be above zero, found 0"):
        learner(scale=0)


def test_an_unknown_metric_is_told():
    with pytest.raises(InvalidInput, match="protonet: metric must be 'euclidean' or 'cosine', found 'manhattan'"):
        ProtoNet(metric="manhattan")
