"""Every family of the registry with random weights: layers in one pass, their order, their depth, and freezing."""

import pytest
import torch
from torch import nn

from fewshot.backbones.registry import build_network
from fewshot.transfer.finetuning.depth import chosen_parameters, depth_units
from fewshot.transfer.layers.extractor import OUTPUT, chosen_names, every_layer

# name, size of the images, first and last stage, features of the first stage and of the output
FAMILIES = [
    ("torchvision:alexnet", 64, "features.0", "features.10", 64, 4096),
    ("torchvision:resnet18", 48, "layer1", "layer4", 64, 512),
    ("torchvision:inception_v3", 80, "Conv2d_1a_3x3", "Mixed_7c", 32, 2048),
    ("torchvision:googlenet", 48, "conv1", "inception5b", 64, 1024),
    ("torchvision:densenet121", 48, "features.denseblock1", "features.denseblock4", 256, 1024),
    ("torchvision:mobilenet_v3_small", 48, "features.0", "features.12", 16, 1024),
    ("torchvision:efficientnet_b0", 48, "features.0", "features.8", 32, 1280),
    ("timm:resnet18", 48, "act1", "layer4", 64, 512),
    ("timm:densenet121", 48, "features.norm0", "features.norm5", 64, 1024),
    ("timm:mobilenetv3_small_050", 48, "bn1", "blocks.5", 16, 1024),
    ("timm:vit_tiny_patch16_224", 224, "blocks.0", "blocks.11", 192, 192),
    pytest.param("timm:swin_tiny_patch4_window7_224", 224, "layers.0", "layers.3", 96, 768, marks=pytest.mark.slow),
    ("timm:convnext_atto", 48, "stages.0", "stages.3", 40, 320),
    ("fewshot:conv4", 84, "block1", "block4", 64, 1600),
    pytest.param("torchvision:vgg11", 48, "features.0", "features.18", 64, 4096, marks=pytest.mark.slow),
    pytest.param(
        "torchvision:vit_b_32",
        224,
        "encoder.layers.encoder_layer_0",
        "encoder.layers.encoder_layer_11",
        768,
        768,
        marks=pytest.mark.slow,
    ),
    pytest.param("timm:nasnetalarge", 96, "conv0", "act", 96, 4032, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "size", "first", "last", "width", "dim"), FAMILIES)
def test_a_family(name, size, first, last, width, dim):
    torch.manual_seed(0)
    network = build_network(name, pretrained=False)
    images = torch.randn(2, network.preprocess.channels, size, size)
    names = chosen_names(network, None)
    kept: list[torch.Tensor] = []
    calls = []
    hook = network.module.register_forward_pre_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        every_layer(network, names, lambda parts: kept.extend(parts) or parts[0])(images)
        hook.remove()
        expected = network.module(images)
    assert len(calls) <= 1, "all layers take one pass"
    assert (names[0], names[-2], names[-1]) == (first, last, OUTPUT)
    assert len(kept) == len(names)
    assert (kept[0].shape, kept[-1].shape) == ((2, width), (2, dim))
    torch.testing.assert_close(kept[-1], expected)
    assert all(part.isfinite().all() and part.ndim == 2 for part in kept)

    units = depth_units(network, images)
    named = dict(network.module.named_parameters())
    assert sorted(each for unit in units for each in unit.parameters) == sorted(named)
    assert set(names[1:-1]) - {OUTPUT} <= {unit.name for unit in units} | _without_parameters(network.module)
    _check_order(network.module, images, units)
    _check_freezing(network.module, images, units)


def _without_parameters(module: nn.Module) -> set[str]:
    return {name for name, part in module.named_modules() if not any(True for _ in part.parameters())}


def _check_order(module, images, units) -> None:
    """A unit is reached after the one before it."""
    seen: list[str] = []
    owner = {each.rpartition(".")[0]: unit.name for unit in units for each in unit.parameters}
    hooks = [
        part.register_forward_pre_hook(lambda _, __, name=name: seen.append(owner[name]))
        for name, part in module.named_modules()
        if name in owner
    ]
    with torch.no_grad():
        module(images)
    for hook in hooks:
        hook.remove()
    reached = list(dict.fromkeys(seen))
    assert reached == [unit.name for unit in units if unit.name in reached]


def _check_freezing(module, images, units) -> None:
    """Only the upper half gets gradients, and the upper half is deeper than the lower."""
    chosen = chosen_parameters(units, "top=0.5", [name for name, _ in module.named_modules()])
    assert 0 < len(chosen) < sum(len(unit.parameters) for unit in units)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in chosen)
    module(images).square().mean().backward()
    with_gradient = {name for name, parameter in module.named_parameters() if parameter.grad is not None}
    assert with_gradient == chosen
