"""What a stage trains, by share of the depth and by name, and at which depth it lies."""

import pytest
import torch

from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.finetuning import build_model


@pytest.fixture(scope="module")
def model():
    return build_model("torchvision:resnet18", 3, 64, pretrained=False)


def test_units_from_the_images_to_the_features(model):
    assert [unit.name for unit in model.units] == ["stem", "layer1", "layer2", "layer3", "layer4"]
    assert model.units[0].parameters == ("conv1.weight", "bn1.weight", "bn1.bias")


@pytest.mark.parametrize(
    ("what", "trained"),
    [
        ("head", set()),
        ("top=0.2", {"layer4"}),
        ("top=0.4", {"layer4", "layer3"}),
        ("top=0.41", {"layer4", "layer3", "layer2"}),
        ("top=1", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
        ("all", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
        ("layer2, stem", {"layer2", "conv1", "bn1"}),
        ("layer3.1.conv1", {"layer3"}),
    ],
)
def test_what_a_stage_trains(model, what, trained):
    chosen = model.choose(what)
    assert {"head.weight", "head.bias"} <= chosen
    assert {name.split(".")[1] for name in chosen if name.startswith("trunk.")} == trained


def test_a_submodule_is_trained_alone(model):
    assert model.choose("layer3.1.conv1") == {"head.weight", "head.bias", "trunk.layer3.1.conv1.weight"}


@pytest.mark.parametrize(
    ("what", "error", "told"),
    [
        ("layer5", UnknownName, "no layer is called 'layer5'; near: layer.*or head, all, top=SHARE"),
        ("layer4.relu", UnknownName, "no layer is called 'layer4.relu'; near: layer4"),
        ("relu", InvalidInput, "relu has no parameters to train"),
        ("top=0", InvalidInput, "above 0 and up to 1, found '0'"),
    ],
)
def test_what_is_refused(model, what, error, told):
    with pytest.raises(error, match=told):
        model.choose(what)


def test_heights(model):
    assert model.height("head.weight") == 0
    assert model.height("trunk.layer4.0.conv1.weight") == 1
    assert model.height("trunk.conv1.weight") == 5


def test_images_that_the_network_does_not_take():
    with pytest.raises(InvalidInput, match="does not take images of 3×32×32: .*choose another size"):
        build_model("timm:vit_tiny_patch16_224", 3, 32, pretrained=False)


def test_a_fresh_network_each_time():
    first, second = (build_model("fewshot:conv4-28", 3, pretrained=False, seed=4) for _ in range(2))
    assert first.trunk is not second.trunk
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])
