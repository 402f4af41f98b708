"""Folded batch norms give the same features, or are not folded."""

import pytest
import torch
from torch import Tensor, nn

from fewshot.backbones.folding import fold_batch_norms
from fewshot.backbones.registry import build_network


def stir(module: nn.Module) -> nn.Module:
    """Batch norms with the statistics and weights of a trained network, so that a wrong fold shows."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize(
    ("name", "size", "left"),
    [
        ("torchvision:resnet18", 64, 0),
        ("torchvision:mobilenet_v3_small", 64, 0),
        ("torchvision:googlenet", 64, 0),
        ("torchvision:densenet121", 64, 62),  # norms before their convolution stay
        ("timm:tf_efficientnet_lite0", 64, 0),
        ("timm:resnet18", 64, 0),
        ("timm:mobilenetv4_conv_small", 64, 0),
        ("timm:convnext_atto", 64, 0),
        ("fewshot:conv4", 84, 0),
        ("fewshot:resnet12", 84, 0),
    ],
)
def test_features_stay_the_same(name, size, left):
    module = stir(build_network(name, pretrained=False).module)
    images = torch.randn(2, 3, size, size)
    folded = fold_batch_norms(module, torch.rand(1, 3, size, size))
    assert norms(folded) == left
    with torch.no_grad():
        expected, found = module(images), folded(images)
    assert (found - expected).abs().max() <= 2e-5 * expected.abs().max()


def test_the_module_itself_is_left_alone():
    module = stir(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    folded = fold_batch_norms(module, torch.rand(1, 3, 8, 8))
    assert folded is not module
    assert norms(module) == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


class OutputUsedTwice(nn.Module):
    """What the convolution gives is also needed without the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        return (maps + self.bn(maps)).flatten(1)


class ConvolutionUsedTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn1, self.bn2 = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.bn2(self.conv(self.bn1(self.conv(images)))).flatten(1)


class NormRegisteredFirst(nn.Module):
    """The order of registration says nothing of the order of computation."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(4), nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.bn(self.conv(images)).flatten(1)


@pytest.mark.parametrize("kind", [OutputUsedTwice, ConvolutionUsedTwice])
def test_what_cannot_be_folded_is_left_as_it_is(kind):
    module = stir(kind())
    assert fold_batch_norms(module, torch.rand(1, 3, 8, 8)) is module


def test_pairs_are_found_by_what_is_computed():
    module = stir(NormRegisteredFirst())
    images = torch.rand(2, 3, 8, 8)
    folded = fold_batch_norms(module, images)
    assert norms(folded) == 0
    torch.testing.assert_close(folded(images), module(images))


def test_nothing_to_fold_is_no_copy():
    module = nn.Flatten()
    assert fold_batch_norms(module, torch.rand(1, 3, 8, 8)) is module
