import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d, max_pool2d

from fewshot.backbones.networks.conv4 import Conv4
from fewshot.errors import InvalidInput
from fewshot.learners.meta import RelationNetwork, Tasks


def reference(support, labels, query, weights):
    """Relation scores of all pairs: the module on the concatenated maps, batch norm over the pairs of all tasks."""
    pairs = []
    for task in range(len(support)):
        means = [support[task][labels[task] == way].mean(0) for way in range(int(labels.max()) + 1)]
        pairs += [np.concatenate([mean, x]).reshape(8, 4, 4) for x in query[task] for mean in means]
    maps = torch.tensor(np.stack(pairs))
    maps = conv2d(maps, torch.cat([weights["of_class.weight"], weights["of_query.weight"]], 1), padding=1)
    for block, norm in (("block1", "0"), ("block2", "1")):
        if block == "block2":
            maps = conv2d(maps, weights["block2.0.weight"], padding=1)
        scale, shift = weights[f"{block}.{norm}.weight"], weights[f"{block}.{norm}.bias"]
        maps = max_pool2d(batch_norm(maps, None, None, scale, shift, training=True).relu(), 2)
    hidden = (maps.flatten(1) @ weights["relation.0.weight"].mT + weights["relation.0.bias"]).relu()
    return (hidden @ weights["relation.2.weight"].mT + weights["relation.2.bias"]).sigmoid().numpy()


@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (3, 2)])
def test_loss_follows_the_paper(ways, shots, small_model, image_tasks, features_in_training):
    learner, tasks = RelationNetwork(channels=4, hidden=3), image_tasks(ways=ways, shots=shots)
    model = small_model(learner)
    support, query = features_in_training(model, tasks)
    weights = {name: tensor.detach() for name, tensor in model.head.named_parameters()}
    expected = reference(support, tasks.support_labels.numpy(), query, weights).reshape(2, -1, ways)
    found = learner.backward(model, tasks, 0.0)
    np.testing.assert_allclose(found.logits.sigmoid(), expected, atol=1e-10)
    right = np.eye(ways)[tasks.query_labels.numpy()]
    assert float(found.loss) == pytest.approx(np.mean((expected - right) ** 2), abs=1e-10)


def test_the_backbone_keeps_two_poolings():
    model = RelationNetwork().model(Conv4(), 64, 5)
    assert model.backbone(torch.rand(2, 3, 28, 28)).shape == (2, 64 * 7 * 7)
    assert sum(isinstance(part, nn.MaxPool2d) for part in model.backbone.modules()) == 2


@pytest.mark.parametrize("side", [28, 84])
def test_it_takes_images_of_any_size(side):
    learner = RelationNetwork()
    model = learner.model(Conv4(), 64, 2).eval()
    labels = torch.arange(2)[None]
    tasks = Tasks(torch.rand(1, 2, 3, side, side), labels, torch.rand(1, 2, 3, side, side), labels, 2)
    assert learner.logits(model, tasks).isfinite().all()


def test_features_that_are_no_maps_are_told(image_tasks):
    learner = RelationNetwork()
    model = learner.model(nn.Flatten(), 64, 3).double()
    with pytest.raises(InvalidInput, match="square maps of 64 channels and a side of 4 or more, and 64 features are"):
        learner.logits(model.eval(), image_tasks())


@pytest.mark.parametrize("setting", ["channels", "hidden"])
def test_settings_must_be_above_zero(setting):
    with pytest.raises(InvalidInput, match=f"relation: {setting} must be above zero, found 0"):
        RelationNetwork(**{setting: 0})
