"""What every learner of a metric has to hold."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from fewshot.learners.meta import (
    R2D2,
    MatchingNetwork,
    MetaBaseline,
    MetaFEAT,
    MetaOptNet,
    ProtoNet,
    RelationNetwork,
)

LEARNERS = {
    "protonet": ProtoNet(),
    "protonet cosine": ProtoNet(metric="cosine"),
    "meta-baseline": MetaBaseline(),
    "matching": MatchingNetwork(),
    "matching in full context": MatchingNetwork(full_context=True, hidden=5, steps=2),
    "relation": RelationNetwork(channels=4, hidden=3),
    "feat": MetaFEAT(hidden=6),
    "r2d2": R2D2(),
    "metaoptnet": MetaOptNet(),
}


@pytest.fixture(params=LEARNERS.values(), ids=LEARNERS.keys())
def learner(request):
    return request.param


@pytest.mark.parametrize(("ways", "shots"), [(3, 2), (2, 1), (4, 3)])
def test_gradient_is_that_of_finite_differences(learner, small_model, image_tasks, ways, shots):
    model, tasks = small_model(learner), image_tasks(ways=ways, shots=shots, seed=ways)
    loss = learner.backward(model, tasks, 0.0).loss
    step = 1e-6  # small, so that hardly any ReLU or maximum switches between the two sides
    for name, parameter in model.named_parameters():
        direction = torch.randn_like(parameter)
        sides = []
        for sign in (1, -1):
            parameter.data += sign * step * direction
            sides.append(learner.backward(deepcopy(model), tasks, 0.0).loss)
            parameter.data -= sign * step * direction
        slope = (sides[0] - sides[1]) / (2 * step)
        torch.testing.assert_close((parameter.grad * direction).sum(), slope, rtol=1e-5, atol=1e-8, msg=name)
    assert loss.requires_grad is False


def test_running_statistics_may_stay_as_they_are(learner, small_model, image_tasks):
    learner = replace(learner, batch_norm="running")
    model, tasks = small_model(learner), image_tasks()
    norm = model.backbone[1]
    norm.running_mean += torch.randn_like(norm.running_mean)
    norm.running_var *= 3.0
    settled = deepcopy(model)
    settled.backbone.eval()
    expected = learner.logits(settled, tasks)
    torch.testing.assert_close(learner.backward(model, tasks, 0.0).logits, expected)
    for name, each in settled.backbone.named_buffers():
        assert torch.equal(model.backbone.get_buffer(name), each)
    assert norm.weight.grad.abs().max() > 0
    moved = small_model(replace(learner, batch_norm="batch"))
    mean = moved.backbone[1].running_mean.clone()
    replace(learner, batch_norm="batch").backward(moved, tasks, 0.0)
    assert not torch.equal(moved.backbone[1].running_mean, mean)


def test_gradients_add_up(learner, small_model, image_tasks):
    model, tasks = small_model(learner), image_tasks()
    learner.backward(model, tasks, 0.0)
    once = [parameter.grad.clone() for parameter in model.parameters()]
    learner.backward(model, tasks, 0.0)
    for parameter, gradient in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)


def test_all_images_pass_the_backbone_together(learner, small_model, image_tasks):
    """Batch norm sees the mean of all pixels of all tasks, once."""
    model, tasks = small_model(learner), image_tasks()
    seen = []
    model.backbone[0].register_forward_hook(lambda layer, inputs, output: seen.append(output.detach()))
    before = model.backbone[1].running_mean.clone()
    learner.backward(model, tasks, 0.0)
    assert [len(output) for output in seen] == [2 * (6 + 6)]
    expected = 0.9 * before + 0.1 * seen[0].mean((0, 2, 3))
    torch.testing.assert_close(model.backbone[1].running_mean, expected)


def test_training_ways_need_not_be_those_of_a_test(learner, small_model, image_tasks):
    model = small_model(learner, ways=3)
    learner.backward(model, image_tasks(ways=3), 0.0)
    for ways in (2, 5):
        assert learner.logits(model.eval(), image_tasks(ways=ways)).shape == (2, 2 * ways, ways)


def test_the_numbers_of_classes_do_not_matter(learner, small_model, image_tasks):
    model, tasks = small_model(learner), image_tasks(ways=4)
    other = torch.tensor([2, 0, 3, 1])
    renamed = replace(tasks, support_labels=other[tasks.support_labels], query_labels=other[tasks.query_labels])
    first, second = learner.backward(model, tasks, 0.0), learner.backward(model, renamed, 0.0)
    torch.testing.assert_close(second.loss, first.loss, atol=1e-9, rtol=0)
    torch.testing.assert_close(second.logits[..., other], first.logits, atol=1e-8, rtol=0)
    model.eval()
    torch.testing.assert_close(
        learner.logits(model, renamed)[..., other], learner.logits(model, tasks), atol=1e-8, rtol=0
    )


def test_in_evaluation_a_query_is_by_itself(learner, small_model, image_tasks):
    model, tasks = small_model(learner).eval(), image_tasks()
    whole = learner.logits(model, tasks)
    assert not whole.requires_grad
    alone = learner.logits(model, replace(tasks, query=tasks.query[:, 3:4], query_labels=tasks.query_labels[:, 3:4]))
    torch.testing.assert_close(alone, whole[:, 3:4], atol=1e-9, rtol=0)
    torch.testing.assert_close(learner.logits(model, tasks[1:]), whole[1:], atol=1e-9, rtol=0)


def test_query_labels_are_not_looked_at_in_evaluation(learner, small_model, image_tasks):
    model, tasks = small_model(learner).eval(), image_tasks()
    hidden = replace(tasks, query_labels=torch.full_like(tasks.query_labels, -1))
    torch.testing.assert_close(learner.logits(model, hidden), learner.logits(model, tasks), atol=0, rtol=0)


def test_training_makes_the_loss_smaller(learner, small_model, image_tasks):
    model, tasks = small_model(learner), image_tasks(ways=3, shots=2, queries=4)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        losses.append(float(learner.backward(model, tasks, 0.0).loss))
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_the_head_keeps_full_precision_under_autocast(learner, small_model, image_tasks):
    """A backbone in bfloat16 gives rounded features; what follows is what float32 makes of them."""
    model, tasks = small_model(learner).float(), image_tasks().to(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model.backbone(torch.cat([tasks.support, tasks.query], 1).flatten(0, 1))

    class Known(nn.Module):
        def forward(self, images):
            return rounded.detach().float().requires_grad_()

    with torch.autocast("cpu", torch.bfloat16):
        found = learner.backward(model, tasks, 0.0)
    assert found.logits.dtype == torch.float32
    model.backbone = Known()
    torch.testing.assert_close(learner.backward(model, tasks, 0.0).logits, found.logits, atol=1e-5, rtol=1e-5)


def test_a_model_saves_and_loads(learner, small_model, image_tasks):
    model, tasks = small_model(learner), image_tasks()
    again = small_model(learner)
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(learner.logits(again.eval(), tasks), learner.logits(model.eval(), tasks))
