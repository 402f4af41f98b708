"""One sample of each family, with random weights: dimension, layers, finite features, fingerprint, preprocessing."""

import pickle

import pytest
import torch
from PIL import Image

from fewshot.backbones import create_backbone, describe_backbone, release
from fewshot.errors import MissingWeights

# name, size of the images, features, features of the first and the last stage together
FAMILIES = [
    ("torchvision:alexnet", 64, 4096, 64 + 256),
    ("torchvision:resnet18", 64, 512, 64 + 512),
    ("torchvision:inception_v3", 96, 2048, 32 + 2048),
    ("torchvision:googlenet", 64, 1024, 64 + 1024),
    ("torchvision:densenet121", 64, 1024, 256 + 1024),
    ("torchvision:mobilenet_v3_small", 64, 1024, 16 + 576),
    ("torchvision:efficientnet_b0", 64, 1280, 32 + 1280),
    ("torchvision:squeezenet1_1", 64, 512, 128 + 512),
    ("torchvision:swin_t", 64, 768, 96 + 768),
    ("timm:resnet18", 64, 512, 64 + 512),
    ("timm:vit_tiny_patch16_224", 224, 192, 192 + 192),
    ("timm:swin_tiny_patch4_window7_224", 224, 768, 96 + 768),
    ("timm:convnext_atto", 64, 320, 40 + 320),
    ("timm:efficientvit_b0", 64, 1280, 16 + 128),
    ("timm:test_efficientnet", 64, 256, 16 + 64),
    ("fewshot:conv4", 84, 1600, 64 + 64),
    ("fewshot:conv4-28", 28, 64, 64 + 64),
    ("fewshot:conv4-32", 32, 256, 64 + 64),
    ("fewshot:conv4-512", 84, 12800, 96 + 512),
    ("fewshot:resnet12", 84, 640, 64 + 640),
    pytest.param("fewshot:wrn-28-10", 84, 640, 160 + 640, marks=pytest.mark.slow),
    pytest.param("torchvision:vgg11", 64, 4096, 64 + 512, marks=pytest.mark.slow),
    pytest.param("torchvision:vit_b_32", 224, 768, 768 + 768, marks=pytest.mark.slow),
    pytest.param("timm:nasnetalarge", 331, 4032, 96 + 4032, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("name", "size", "dim", "ends"), FAMILIES)
def test_a_family(name, size, dim, ends):
    backbone = create_backbone(name, pretrained=False, precision="float32")
    features = backbone(torch.randn(2, 3, size, size))
    assert features.shape == (2, dim)
    assert features.std(dim=0).mean() > 0, "two images must not have the same features"
    assert backbone.weights == "random"

    image = Image.effect_noise((150, 100), 80)
    prepared = pickle.loads(pickle.dumps(backbone.preprocess))(image)
    assert prepared.shape == (3, backbone.image_size, backbone.image_size)
    assert prepared.dtype == torch.float32

    layers = create_backbone(name, pretrained=False, precision="float32", layers=[0, -1], optimize=False)
    found = layers(torch.randn(2, 3, size, size))
    assert found.shape == (2, ends)
    assert layers.fingerprint != backbone.fingerprint
    assert layers.layers == (backbone.layer_names()[0], backbone.layer_names()[-1])

    facts = describe_backbone(name)
    assert (facts["dim"], facts["parameters"]) == (dim, backbone.parameters)
    assert facts["layers"] == backbone.layer_names()
    release(name)


def test_raw_pixels_are_the_image_at_32_pixels():
    backbone = create_backbone("fewshot:raw-pixels", precision="float32")
    image = Image.linear_gradient("L").convert("RGB")
    expected = torch.tensor(list(image.resize((32, 32), Image.Resampling.BILINEAR).tobytes())) / 255
    found = backbone(backbone.preprocess(image)[None])[0]
    assert torch.equal(found.reshape(3, 32, 32).permute(1, 2, 0).flatten(), expected)


@pytest.mark.parametrize("name", ["conv4", "conv4-28", "conv4-512", "resnet12", "wrn-28-10"])
def test_the_few_shot_networks_have_no_weights_to_offer(name):
    with pytest.raises(
        MissingWeights, match=f"fewshot:{name} has no pretrained weights; pass weights=PATH, or pretrained"
    ):
        create_backbone(f"fewshot:{name}")


def test_strided_conv4_has_the_mean_over_four_positions_or_all_of_them():
    mean, positions = (
        create_backbone(f"fewshot:conv4-strided-{name}", pretrained=False) for name in ("omniglot", "256-omniglot")
    )
    positions.module.load_state_dict(mean.module.state_dict())
    drawings = torch.rand(3, 1, 28, 28)
    assert (mean.dim, positions.dim) == (64, 256)
    torch.testing.assert_close(positions.module(drawings).view(3, 64, 4).mean(2), mean.module(drawings))


def test_conv4_is_the_network_of_the_papers():
    backbone = create_backbone("fewshot:conv4", pretrained=False)
    weights = 3 * 64 * 9 + 3 * 64 * 64 * 9
    assert backbone.parameters == weights + 4 * (64 + 2 * 64)
    assert create_backbone("fewshot:conv4-28", pretrained=False).image_size == 28


def test_resnet12_has_the_published_number_of_weights():
    assert create_backbone("fewshot:resnet12", pretrained=False).parameters == pytest.approx(12.4e6, rel=0.01)


@pytest.mark.slow
def test_wrn_28_10_has_the_published_number_of_weights():
    assert create_backbone("fewshot:wrn-28-10", pretrained=False).parameters == pytest.approx(36.5e6, rel=0.01)
