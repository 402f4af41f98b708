import numpy as np
import pytest
import torch
from svm_dual import svm_dual

from fewshot.errors import InvalidInput
from fewshot.learners.inductive.svm import crammer_singer
from fewshot.learners.meta import MetaOptNet
from fewshot.learners.meta.metric.metaoptnet import differentiable_dual
from fewshot.learners.prototypes import one_hot


def reference(features, targets, C):
    """The weight (ways, D) of equation 5, by a solver of general problems."""
    return svm_dual(features @ features.T, targets, C).T @ features


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 2)])
def test_loss_follows_the_paper(ways, shots, smoothing, small_model, image_tasks, features_in_training):
    learner, tasks = MetaOptNet(smoothing=smoothing), image_tasks(ways=ways, shots=shots)
    model = small_model(learner)
    scale, losses, found = model.head.scale.item(), [], learner.backward(model, tasks, 0.0)
    for task, (support, query) in enumerate(zip(*features_in_training(model, tasks), strict=True)):
        weight = reference(support, np.eye(ways)[tasks.support_labels[task].numpy()], 0.1)
        logits = scale * query @ weight.T
        np.testing.assert_allclose(found.logits[task], logits, atol=1e-4)
        for row, label in zip(logits, tasks.query_labels[task].numpy(), strict=True):
            share = (1 - smoothing) * np.eye(ways)[label] + smoothing / ways
            losses.append(-share @ (row - np.log(np.exp(row).sum())))
    assert float(found.loss) == pytest.approx(np.mean(losses), abs=1e-4)


@pytest.mark.parametrize("C", [0.01, 0.1, 1.0])
@pytest.mark.parametrize(("ways", "shots", "dim"), [(2, 1, 8), (3, 4, 5), (5, 5, 64), (1, 2, 3)])
def test_the_dual_is_the_optimum_again(ways, shots, dim, C):
    """No step against the gradient that the bounds allow leads downhill: the conditions of Karush, Kuhn and Tucker."""
    x = torch.rand(3, ways * shots, dim, dtype=torch.float64) + 0.5
    gram, targets = x @ x.mT, one_hot(torch.arange(ways).repeat_interleave(shots).expand(3, -1), ways, x)
    solved, converged = crammer_singer(gram, targets, C, 10_000)
    dual = differentiable_dual(gram, targets, solved, C)
    assert converged.all()
    torch.testing.assert_close(dual.mT @ x, solved.mT @ x, atol=1e-3, rtol=0)
    torch.testing.assert_close(dual.sum(2), torch.zeros_like(dual[..., 0]), atol=1e-9, rtol=0)
    slope, free = gram @ dual - targets, solved < C * targets
    for task in range(3):
        for item in range(ways * shots):
            levels = slope[task, item][free[task, item]]
            # equal among the free ones; where a share is zero the slope would have to push it below
            assert float(levels.max() - levels.min()) < 1e-6
            assert (slope[task, item] <= levels.mean() + 1e-3).all()


@pytest.mark.parametrize("C", [0.05, 1.0])
def test_gradient_of_the_dual_is_that_of_finite_differences(C):
    """Against the solver itself, with its own error far below the step."""
    x = torch.rand(1, 9, 20, dtype=torch.float64)
    targets = one_hot(torch.arange(3).repeat(3)[None], 3, x)
    towards, direction = torch.randn(1, 20, 3, dtype=torch.float64), torch.randn_like(x)

    def weights(features):
        return reference(features[0].numpy(), targets[0].numpy(), C)

    step = 1e-3
    difference = (weights(x + step * direction) - weights(x - step * direction)) / (2 * step)
    features = x.clone().requires_grad_()
    gram = features @ features.mT
    with torch.no_grad():
        solved, _ = crammer_singer(gram, targets, C, 10_000)
    weight = differentiable_dual(gram, targets, solved, C).mT @ features
    ((weight.mT * towards).sum()).backward()
    expected = float((torch.tensor(difference).mT * towards[0]).sum())
    assert float((features.grad * direction).sum()) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("setting", ["C", "scale", "steps"])
def test_settings_must_be_above_zero(setting):
    with pytest.raises(InvalidInput, match=f"metaoptnet: {setting} must be above zero, found 0"):
        MetaOptNet(**{setting: 0})


def test_smoothing_must_be_a_share():
    with pytest.raises(InvalidInput, match=r"metaoptnet: smoothing must be in \[0, 1\), found 1.0"):
        MetaOptNet(smoothing=1.0)
