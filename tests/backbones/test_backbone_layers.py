"""Layers by name, index and word, against maps that a plain loop over the network gives."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fewshot.backbones import create_backbone
from fewshot.backbones.layers import (
    LayerFeatures,
    choose_layers,
    concatenate,
    pool_maps,
    pool_maps_channels_last,
    stage_names,
)
from fewshot.errors import InvalidInput, UnknownName

STAGES = ["a", "b", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (0, ["a"]),
        (-1, ["f"]),
        ("c", ["c"]),
        ("shallow", ["b"]),
        ("middle", ["d"]),
        ("deep", ["f"]),
        (["shallow", -1, "a", 2], ["b", "f", "a", "c"]),
        ("z.conv", ["z.conv"]),
    ],
)
def test_layers_by_name_index_and_word(asked, names):
    assert choose_layers(asked, STAGES, others=["z.conv"]) == names


def test_an_unknown_layer_lists_near_ones():
    with pytest.raises(UnknownName, match="no layer is called 'layer9'; near: .*layer3"):
        choose_layers("layer9", ["layer1", "layer2", "layer3", "layer4"])


@pytest.mark.parametrize("index", [6, -7])
def test_an_index_out_of_range_lists_the_stages(index):
    with pytest.raises(InvalidInput, match=f"layer {index} does not exist: the 6 stages are a, b, c, d, e, f"):
        choose_layers(index, STAGES)


def test_no_layers_at_all_is_refused():
    with pytest.raises(InvalidInput, match="layers is empty"):
        choose_layers([], STAGES)


def test_pooling_is_the_mean_over_positions():
    maps = torch.rand(2, 5, 3, 4)
    expected = maps.flatten(2).mean(2)
    torch.testing.assert_close(pool_maps(maps), expected)
    torch.testing.assert_close(pool_maps(maps.flatten(2).transpose(1, 2)), expected)
    torch.testing.assert_close(pool_maps_channels_last(maps.permute(0, 2, 3, 1)), expected)
    assert torch.equal(pool_maps(expected), expected)


def test_the_default_blend_normalises_each_layer():
    first, second = torch.rand(4, 3), 100 * torch.rand(4, 5)
    blended = concatenate([first, second])
    assert blended.shape == (4, 8)
    torch.testing.assert_close(blended.norm(dim=1), torch.full((4,), 2.0).sqrt())
    torch.testing.assert_close(blended[:, 3:], second / second.norm(dim=1, keepdim=True))


class Plain(nn.Sequential):
    """An in-place activation overwrites what the convolution gave."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.Flatten())
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return super().forward(images)


def test_a_layer_is_seen_before_an_activation_in_place():
    net, images = Plain(), torch.randn(2, 3, 8, 8)
    features = LayerFeatures(net, ["0"], pool_maps, blend=lambda parts: parts[0])(images)
    torch.testing.assert_close(features, net[0](images).mean((2, 3)))
    assert (features < 0).any()


def test_what_comes_after_the_last_layer_is_not_computed():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(1, 1))  # the second layer would fail
    assert LayerFeatures(net, ["0"], pool_maps)(torch.rand(2, 3, 8, 8)).shape == (2, 4)


def test_order_and_repetition_are_kept_and_hooks_removed():
    net, images = Plain(), torch.randn(2, 3, 8, 8)
    features = LayerFeatures(net, ["2", "0", "2"], pool_maps)(images)
    assert features.shape == (2, 14)
    assert torch.equal(features[:, :5], features[:, 9:])
    assert net.calls == 1
    assert not any(part._forward_hooks for part in net.modules())


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("torchvision:resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        ("torchvision:alexnet", ["features.0", "features.3", "features.6", "features.8", "features.10"]),
        ("timm:resnet18", ["act1", "layer1", "layer2", "layer3", "layer4"]),
        ("timm:vit_tiny_patch16_224", [f"blocks.{i}" for i in range(12)]),
        ("fewshot:conv4", ["block1", "block2", "block3", "block4"]),
        ("fewshot:resnet12", ["layer1", "layer2", "layer3", "layer4"]),
    ],
)
def test_stages_are_what_a_user_expects(name, stages):
    assert create_backbone(name, pretrained=False).layer_names() == stages


def test_a_registered_module_has_stages_too():
    assert stage_names(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 2))) == ["0", "2"]


@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_layers_of_a_real_network_against_a_plain_loop(source):
    plain = create_backbone(f"{source}:resnet18", pretrained=False, precision="float32", optimize=False)
    images = torch.randn(2, 3, 64, 64)
    net, maps, expected = plain.module, images, []
    with torch.no_grad():
        stem = [net.conv1, net.bn1, net.relu if source == "torchvision" else net.act1, net.maxpool]
        for part in [*stem, net.layer1, net.layer2, net.layer3, net.layer4]:
            maps = part(maps)
            expected.append(maps.mean((2, 3)))
    layers = ["layer4", "layer2"]
    found = create_backbone(f"{source}:resnet18", pretrained=False, precision="float32", layers=layers)
    wanted = torch.cat([normalize(expected[-1]), normalize(expected[-3])], dim=1)
    assert found.dim == 512 + 128
    torch.testing.assert_close(found(images), wanted, rtol=1e-3, atol=1e-5)


def total(parts: list[Tensor]) -> Tensor:
    return torch.stack([part.sum(1) for part in parts], dim=1)


def test_a_blend_of_ones_own():
    found = create_backbone("fewshot:conv4", pretrained=False, layers=[0, 1, 2], blend=total)
    assert found(torch.rand(2, 3, 84, 84)).shape == (2, 3)
    default = create_backbone("fewshot:conv4", pretrained=False, layers=[0, 1, 2])
    assert found.fingerprint != default.fingerprint


def test_a_submodule_of_ones_choice_and_an_unknown_one():
    found = create_backbone("torchvision:resnet18", pretrained=False, layers="layer2.0.conv1")
    assert found.dim == 128
    with pytest.raises(UnknownName, match="no layer is called 'layer2.7.conv1'; near: layer2"):
        create_backbone("torchvision:resnet18", pretrained=False, layers="layer2.7.conv1")
    with pytest.raises(UnknownName, match="no layer is called 'layer5'; near: layer"):
        create_backbone("timm:resnet18", pretrained=False, layers="layer5")


def test_the_classifier_belongs_to_the_pooled_features_only():
    assert create_backbone("timm:resnet18", pretrained=False).head is not None
    assert create_backbone("timm:resnet18", pretrained=False, layers=-1).head is None
