from dataclasses import replace

import numpy as np
import pytest
import torch

from fewshot.learners import Cosine, Finetune, Logistic
from fewshot.learners.meta import RFS, Baseline, BaselinePlusPlus, Tasks

LEARNERS = {
    "baseline": (Baseline(), Finetune()),
    "baseline++": (BaselinePlusPlus(), Cosine()),
    "rfs": (RFS(), Logistic()),
}


@pytest.fixture(params=LEARNERS.values(), ids=LEARNERS.keys())
def pair(request):
    return request.param


def labelled_batch(classes: int = 7, items: int = 12) -> Tasks:
    images = torch.randn(1, items, 1, 8, 8, dtype=torch.float64)
    labels = torch.randint(classes, (1, items))
    return Tasks(images[:, :0], labels[:, :0], images, labels, classes)


def reference(learner, model, features, classes):
    weights = {name: tensor.detach().numpy() for name, tensor in model.layer.named_parameters()}
    if not isinstance(learner, BaselinePlusPlus):
        return features @ weights["weight"].T + weights["bias"]
    norms, vectors = (weights[f"vectors.parametrizations.weight.original{i}"] for i in (0, 1))
    scale = 2 if classes <= 200 else 10
    return np.array(
        [
            [
                scale * float(norm[0]) * (x @ vector) / np.linalg.norm(x) / np.linalg.norm(vector)
                for norm, vector in zip(norms, vectors, strict=True)
            ]
            for x in features
        ]
    )


@pytest.mark.parametrize("classes", [1, 7, 201])
def test_loss_is_the_cross_entropy_over_base_classes(pair, classes, small_model, features_in_training):
    learner, batch = pair[0], labelled_batch(classes)
    model = small_model(learner, ways=classes)
    _, features = features_in_training(model, batch)
    found = learner.backward(model, batch, 0.0)
    expected = reference(learner, model, features[0], classes)
    assert found.logits.shape == (1, 12, classes)
    np.testing.assert_allclose(found.logits[0], expected, atol=1e-10)
    labels = batch.query_labels[0].numpy()
    losses = [np.log(np.exp(row).sum()) - row[label] for row, label in zip(expected, labels, strict=True)]
    assert float(found.loss) == pytest.approx(np.mean(losses), abs=1e-10)


def test_gradient_is_that_of_finite_differences(pair, small_model):
    learner, batch, step = pair[0], labelled_batch(), 1e-6
    model = small_model(learner, ways=7)
    learner.backward(model, batch, 0.0)
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        direction, sides = torch.randn_like(parameter), []
        for sign in (1, -1):
            parameter.data += sign * step * direction
            sides.append(learner.backward(model, batch, 0.0).loss)
            parameter.data -= sign * step * direction
        slope = (sides[0] - sides[1]) / (2 * step)
        torch.testing.assert_close((gradients[name] * direction).sum(), slope, rtol=1e-5, atol=1e-8, msg=name)


def test_new_classes_get_the_learner_on_frozen_features(pair, small_model, image_tasks):
    learner, few_shot = pair
    model, tasks = small_model(learner, ways=7).eval(), image_tasks(ways=4)
    with torch.no_grad():
        support, query = (model.backbone(x.flatten(0, 1)).unflatten(0, (2, -1)) for x in (tasks.support, tasks.query))
    expected = few_shot.fit(support, tasks.support_labels, 4)(query)
    found = learner.logits(model, tasks)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)
    hidden = replace(tasks, query_labels=torch.full_like(tasks.query_labels, -1))
    torch.testing.assert_close(learner.logits(model, hidden), found)


def test_they_train_on_batches(pair):
    assert pair[0].episodic is False


def test_evaluation_leaves_the_batch_norm_alone(pair, small_model, image_tasks):
    model = small_model(pair[0], ways=7).eval()
    before = model.backbone[1].running_mean.clone()
    pair[0].logits(model, image_tasks())
    torch.testing.assert_close(model.backbone[1].running_mean, before, atol=0, rtol=0)
