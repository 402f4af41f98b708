"""The frozen prefix: the same numbers as the whole network, on every family, wherever the cut is."""

import pytest
import torch
from torch import Tensor, nn

from fewshot.transfer.finetuning import FrozenPrefix, build_model

NETWORKS = [
    ("timm:tf_efficientnet_lite0", 64),
    ("torchvision:resnet18", 64),
    ("torchvision:densenet121", 64),
    ("torchvision:mobilenet_v3_small", 64),
    ("torchvision:googlenet", 64),
    ("timm:vit_tiny_patch16_224", 224),
    ("timm:convnext_atto", 64),
    ("fewshot:conv4-28", 28),
]


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_the_same_features_and_gradients_from_the_maps(name, size):
    model = build_model(name, 3, size, pretrained=False)
    images = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    cuts = []
    for what in ("head", "top=0.25", "top=0.6"):
        chosen = model.choose(what)
        model.freeze_but(chosen, "frozen")
        model.eval()
        prefix = FrozenPrefix.find(model.trunk, images)
        assert prefix is not None
        cuts.append(prefix.cut)
        maps = prefix.maps(images)
        assert maps.numel() * maps.element_size() == 3 * prefix.bytes_an_image
        gradients = []
        for features in (model.trunk(images), prefix.from_maps(maps)):
            model.zero_grad(set_to_none=True)
            model.head(features).square().sum().backward()
            gradients.append({key: value.grad for key, value in model.named_parameters() if value.grad is not None})
        torch.testing.assert_close(prefix.from_maps(maps), model.trunk(images))
        assert gradients[0].keys() == gradients[1].keys() == chosen
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)
    assert cuts[0] == "", "with the head alone the whole trunk is run once"
    assert len(set(cuts)) == 3, "the more is trained, the shallower the cut"


def test_no_prefix_where_everything_learns():
    model = build_model("torchvision:resnet18", 3, 64, pretrained=False)
    model.freeze_but(model.choose("all"), "batch")
    assert FrozenPrefix.find(model.trunk, torch.rand(2, 3, 64, 64)) is None


class Around(nn.Module):
    """What `first` gives goes around `second`, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, values: Tensor) -> Tensor:
        first = self.first(values)
        return self.third(self.second(first) + first)


def test_a_way_around_the_cut_moves_it_up():
    net = Around()
    net.first.requires_grad_(False)
    net.second.requires_grad_(False)
    values = torch.randn(5, 4)
    prefix = FrozenPrefix.find(net, values)
    assert prefix is not None
    assert prefix.cut == "first", "the maps of `second` alone do not give the output"
    torch.testing.assert_close(prefix.from_maps(prefix.maps(values)), net(values))


def test_what_draws_is_not_kept():
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4), nn.Linear(4, 2))
    for place in (0, 2):
        net[place].requires_grad_(False)
    net.train()
    prefix = FrozenPrefix.find(net, torch.randn(3, 4))
    assert prefix is not None
    assert prefix.cut == "0"
    net.eval()
    prefix = FrozenPrefix.find(net, torch.randn(3, 4))
    assert prefix is not None
    assert prefix.cut == "2"


def test_a_part_that_is_called_twice_is_only_skipped_before_the_cut():
    act = nn.Tanh()
    net = nn.Sequential(nn.Linear(4, 4), act, nn.Linear(4, 4), nn.Linear(4, 4), act)
    net[0].requires_grad_(False)
    net[2].requires_grad_(False)
    values = torch.randn(3, 4)
    prefix = FrozenPrefix.find(net, values)
    assert prefix is not None
    assert prefix.cut == "2"
    torch.testing.assert_close(prefix.from_maps(prefix.maps(values)), net(values))
    torch.testing.assert_close(
        net(values), net[4](net[3](net[2](net[1](net[0](values))))), msg="nothing is left behind"
    )
