"""Names: listing, registering, near misses, files in the name."""

from pathlib import Path

import pytest

from fewshot.backbones import create_backbone, list_backbones, register_backbone, registry
from fewshot.backbones.registry import build_network, split_name, weights_origin
from fewshot.errors import InvalidInput, MissingPackage, MissingWeights, UnknownName


def test_every_source_is_listed():
    names = list_backbones()
    assert names == sorted(names)
    assert {name.split(":")[0] for name in names} >= {"fewshot", "open_clip", "timm", "torchvision"}
    assert {"torchvision:alexnet", "torchvision:vit_b_16", "timm:nasnetalarge", "fewshot:conv4"} <= set(names)
    assert len(names) > 1000


def test_a_pattern_chooses():
    assert list_backbones("fewshot:wrn*") == ["fewshot:wrn-28-10"]
    assert list_backbones("torchvision:resnet1?") == ["torchvision:resnet18"]
    assert {"timm:resnet18", "torchvision:resnet18"} <= set(list_backbones("*:resnet18"))
    assert list_backbones("nothing:*") == []


def test_tags_list_every_choice_of_weights():
    assert "torchvision:resnet50/IMAGENET1K_V2" in list_backbones("torchvision:*", tags=True)
    assert "timm:resnet18.a1_in1k" in list_backbones("timm:resnet18*", tags=True)
    assert "open_clip:ViT-B-32/openai" in list_backbones("open_clip:ViT-B-32*", tags=True)
    assert "timm:resnet18.a1_in1k" not in list_backbones("timm:resnet18*")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("torchvision:resnet81", "torchvision:resnet18"),
        ("torchvision:resnet50/V9", "torchvision:resnet50/IMAGENET1K_V1"),
        ("timm:resnet81", "timm:resnet18"),
        ("timm:resnet18.a9_in1k", "timm:resnet18.a1_in1k"),
        ("open_clip:ViT-B32", "open_clip:ViT-B-32"),
        ("open_clip:ViT-B-32/opnai", "open_clip:ViT-B-32/openai"),
        ("fewshot:conv", "fewshot:conv4"),
        ("resnet18", "timm:resnet18"),
        ("tim:resnet18", "timm:resnet18"),
    ],
)
def test_an_unknown_name_lists_near_ones(name, near):
    for pretrained in (True, False):
        with pytest.raises(UnknownName, match=f"no backbone is called '{name}'; near: .*{near}"):
            build_network(name, pretrained)
    with pytest.raises(UnknownName):
        weights_origin(name)


def test_a_name_is_registered_once():
    @register_backbone("registry-test:net")
    def net(pretrained):
        raise MissingWeights("none here")

    with pytest.raises(InvalidInput, match="a backbone called 'registry-test:net' is already registered"):
        register_backbone("registry-test:net")(net)
    assert list_backbones("registry-test:*") == ["registry-test:net"]
    with pytest.raises(MissingWeights, match="none here"):
        create_backbone("registry-test:net")
    with pytest.raises(UnknownName, match="near: registry-test:net"):
        create_backbone("registry-test:nett")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timm:resnet18", ("timm:resnet18", None)),
        ("timm:resnet18.a1_in1k", ("timm:resnet18.a1_in1k", None)),
        ("timm:resnet18@a/b.pth", ("timm:resnet18", Path("a/b.pth"))),
        ("file:timm:resnet18@a/b@2.pth", ("timm:resnet18", Path("a/b@2.pth"))),
        ("open_clip:ViT-B-32@clip.pt", ("open_clip:ViT-B-32", Path("clip.pt"))),
    ],
)
def test_a_file_in_the_name(name, expected):
    assert split_name(name) == expected


@pytest.mark.parametrize("name", ["file:weights.pth", "file:timm:resnet18", "file:resnet18@weights.pth"])
def test_a_file_needs_a_model_and_a_path(name):
    with pytest.raises(InvalidInput, match=r"must name a model and a file: file:SOURCE:MODEL@PATH"):
        create_backbone(name)


def test_a_missing_package_stops_only_those_who_ask_for_it(monkeypatch):
    def missing(source):
        raise MissingPackage("open_clip_torch", "an open_clip: backbone")

    monkeypatch.setattr(registry, "_source", missing)
    assert "fewshot:conv4" in list_backbones()
    with pytest.raises(MissingPackage, match="pip install open_clip_torch"):
        list_backbones("open_clip:*")
    with pytest.raises(MissingPackage):
        create_backbone("open_clip:ViT-B-32", pretrained=False)
