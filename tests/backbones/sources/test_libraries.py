"""timm, torchvision and open_clip: what is said offline, and preprocessing against the libraries' own."""

import json
import shutil

import pytest
import torch
from PIL import Image

from fewshot.backbones import create_backbone, describe_backbone
from fewshot.backbones.registry import weights_origin
from fewshot.errors import MissingWeights

TINY_CLIP = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    monkeypatch.setattr("fewshot.backbones.weights.unreachable", lambda address: "no network")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("fewshot.backbones.weights.hub_file", lambda hub_id, files: None)


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory) -> str:
    open_clip = pytest.importorskip("open_clip")
    path = tmp_path_factory.mktemp("clip") / "tiny-clip.json"
    path.write_text(json.dumps(TINY_CLIP))
    open_clip.add_model_config(path)
    return "open_clip:tiny-clip"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "torchvision:resnet50",
            r"weights IMAGENET1K_V2 .* from https://.*pth \(no network\); put the file at .*resnet50",
        ),
        ("torchvision:resnet50/IMAGENET1K_V1", r"the weights IMAGENET1K_V1 could not be fetched"),
        (
            "timm:resnet50.a1_in1k",
            r"weights timm/resnet50.a1_in1k .*\(no network\); download it elsewhere and pass weights",
        ),
        ("timm:resnet200", r"timm has no pretrained weights for resnet200; pass weights=PATH or pretrained=False"),
        ("open_clip:ViT-B-32/openai", r"the weights openai could not be fetched .*\(no network\)"),
        ("open_clip:ViT-B-32", r"names no weights, and open_clip has no default ones; add a tag .*openai"),
    ],
)
def test_weights_that_cannot_be_had_are_never_random(no_network, name, said):
    with pytest.raises(MissingWeights, match=said):
        create_backbone(name)


def test_weights_in_the_torch_hub_folder_are_used(no_network, tmp_path):
    from torchvision.models import mobilenet_v3_small

    origin = weights_origin("torchvision:mobilenet_v3_small")
    assert origin is not None
    assert origin.path is not None
    assert not describe_backbone("torchvision:mobilenet_v3_small")["weights_here"]
    origin.path.parent.mkdir(parents=True)
    torch.manual_seed(5)
    torch.save(mobilenet_v3_small().state_dict(), origin.path)
    assert describe_backbone("torchvision:mobilenet_v3_small")["weights_here"]
    loaded = create_backbone("torchvision:mobilenet_v3_small")
    assert loaded.weights == "IMAGENET1K_V1"
    assert loaded.head is not None
    assert loaded.fingerprint != create_backbone("torchvision:mobilenet_v3_small", pretrained=False).fingerprint
    loaded.release()


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_preprocessing_of_torchvision_is_its_own(name):
    from torchvision.models import get_model_weights

    image = Image.effect_noise((300, 200), 60).convert("RGB")
    expected = get_model_weights(name)["DEFAULT"].transforms()(image)
    assert torch.equal(create_backbone(f"torchvision:{name}", pretrained=False).preprocess(image), expected)


def test_preprocessing_of_timm_is_that_of_the_tag():
    first = create_backbone("timm:test_vit.r160_in1k", pretrained=False)
    assert first.preprocess.settings["mean"] == [0.5, 0.5, 0.5]
    assert first.image_size == 160


def test_a_head_gives_the_logits_of_the_whole_network():
    import timm

    torch.manual_seed(0)
    whole = timm.create_model("resnet18").eval()
    backbone = create_backbone("timm:resnet18", pretrained=False, precision="float32", device="cpu")
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone.head(backbone(images)), whole(images), rtol=1e-3, atol=1e-4)


def test_the_image_tower_of_a_clip_model(tiny_clip):
    backbone = create_backbone(tiny_clip, pretrained=False, precision="float32", device="cpu")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), backbone.joint.encode_image(images))
    assert backbone.dim == 24
    assert backbone.image_size == 32
    assert backbone.preprocess(Image.new("RGB", (50, 40))).shape == (3, 32, 32)
    assert backbone.layer_names() == [f"visual.transformer.resblocks.{i}" for i in range(3)]
    assert create_backbone(tiny_clip, pretrained=False, layers=["shallow", "deep"]).dim == 64
    assert sum(parameter.numel() for parameter in backbone.joint.parameters()) > backbone.parameters


def test_a_clip_checkpoint_of_ones_own(tiny_clip, tmp_path):
    import open_clip

    torch.manual_seed(2)
    model = open_clip.create_model("tiny-clip").eval()
    torch.save({"state_dict": {f"module.{key}": value for key, value in model.state_dict().items()}}, tmp_path / "a.pt")
    backbone = create_backbone(f"{tiny_clip}@{tmp_path / 'a.pt'}", precision="float32", device="cpu")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), model.encode_image(images))
    assert torch.equal(backbone.joint.logit_scale, model.logit_scale)


def test_a_folder_that_open_clip_saved(tiny_clip, tmp_path):
    import open_clip
    from safetensors.torch import save_file

    torch.manual_seed(3)
    model = open_clip.create_model("tiny-clip").eval()
    config = {"model_cfg": TINY_CLIP, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    name = f"open_clip:local-dir:{tmp_path}"
    with pytest.raises(MissingWeights, match=r"has no weights file; put one there: open_clip_model.safetensors or"):
        create_backbone(name)
    save_file(model.state_dict(), tmp_path / "open_clip_model.safetensors")
    backbone = create_backbone(name, precision="float32", device="cpu")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone(images), model.encode_image(images))
    assert backbone.preprocess.settings["mean"] == [0.5] * 3
    elsewhere = shutil.copytree(tmp_path, tmp_path.parent / "elsewhere")
    assert create_backbone(f"open_clip:local-dir:{elsewhere}", precision="float32").fingerprint == backbone.fingerprint
    with pytest.raises(MissingWeights, match="has no open_clip_config.json"):
        create_backbone(f"open_clip:local-dir:{tmp_path / 'empty'}")


def test_a_tag_brings_its_activation_and_its_preprocessing(tiny_clip, tmp_path, monkeypatch):
    import open_clip

    torch.manual_seed(4)
    model = open_clip.create_model("tiny-clip", force_quick_gelu=True).eval()
    torch.save(model.state_dict(), tmp_path / "a.pt")
    config = {"hf_hub": "no-one/nothing/a.pt", "quick_gelu": True, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
    source = "fewshot.backbones.sources.open_clip"
    monkeypatch.setattr(f"{source}.open_clip.get_pretrained_cfg", lambda name, tag: config)
    monkeypatch.setattr(f"{source}.hub_file", lambda hub_id, files: tmp_path / files[0])
    tagged = create_backbone(f"{tiny_clip}/mine", precision="float32", device="cpu")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(tagged(images), model.encode_image(images))
    assert tagged.preprocess.settings["mean"] == [0.1, 0.2, 0.3]
    bare = create_backbone(tiny_clip, weights=tmp_path / "a.pt", precision="float32", device="cpu")
    assert not torch.allclose(bare(images), tagged(images))
    assert bare.fingerprint != tagged.fingerprint


def test_the_size_of_the_images_is_that_of_the_tag():
    assert describe_backbone("torchvision:vit_b_16")["image_size"] == 224
    assert describe_backbone("torchvision:vit_b_16/IMAGENET1K_SWAG_E2E_V1")["image_size"] == 384
