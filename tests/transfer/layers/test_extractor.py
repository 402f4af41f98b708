"""All layers of the real network in one table: equal to those that a backbone gives one by one."""

import pytest
import torch

import fewshot
from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.layers import OUTPUT, compare_layers, fold_splits, layer_extractor

LITE = "timm:tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def extractor(offline_weights):
    return layer_extractor(LITE, device="cpu", precision="float32")


def test_each_layer_is_what_the_backbone_gives_alone(extractor):
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    found = extractor(images)
    assert list(found) == ["blocks.0", "blocks.1", "blocks.2", "blocks.4", "blocks.6", OUTPUT]
    assert extractor.widths == (16, 24, 40, 112, 320, 1280)
    output = fewshot.create_backbone(LITE, device="cpu", precision="float32")(images)
    torch.testing.assert_close(found[OUTPUT], output, rtol=1e-3, atol=1e-4)
    alone = fewshot.create_backbone(LITE, device="cpu", precision="float32", layers=3, blend=lambda parts: parts[0])
    torch.testing.assert_close(found["blocks.4"], alone(images), rtol=1e-3, atol=1e-4)


def test_a_data_set_is_embedded_once(extractor):
    digits = fewshot.load_dataset("digits")
    part = digits.select(classes=[0, 1, 2]).select(indices=list(range(18)))
    features, table = extractor.embed(part, progress=False)
    assert [values.shape for values in features.values()] == [(18, width) for width in extractor.widths]
    found = compare_layers(features, table.labels, fold_splits(table.labels, 2, 1))
    assert found.interval(OUTPUT).mean > 0.8
    assert torch.equal(extractor.embed(part, progress=False)[1].features, table.features)


@pytest.mark.parametrize("layers", [["output"], ["blocks.2"], ["output", "blocks.0"]])
def test_some_layers_are_the_columns_of_all(extractor, layers):
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    some = layer_extractor(LITE, layers, "cpu", "float32")
    assert list(some(images)) == layers
    for name, values in some(images).items():
        torch.testing.assert_close(values, extractor(images)[name], rtol=1e-3, atol=1e-4)


def test_chosen_layers_and_unknown_ones():
    some = layer_extractor("torchvision:resnet18", ["layer2", -1], "cpu", "float32", pretrained=False)
    assert (some.names, some.widths) == (("layer2", "layer4"), (128, 512))
    with pytest.raises(UnknownName, match="no layer is called 'layer9'; near: layer4"):
        layer_extractor("torchvision:resnet18", ["layer9"], "cpu", pretrained=False)
    with pytest.raises(InvalidInput, match="a layer is named twice: layer4, layer4"):
        layer_extractor("torchvision:resnet18", ["layer4", -1], "cpu", pretrained=False)
