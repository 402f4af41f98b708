"""`torchvision:` — every classification model that torchvision lists: `torchvision:resnet50`, or with other weights
`torchvision:resnet50/IMAGENET1K_V1`.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from fewshot.backbones.layers import pool_maps, pool_maps_channels_last
from fewshot.backbones.network import Network, Preprocessing
from fewshot.backbones.weights import Origin, fetching
from fewshot.errors import MissingPackage, UnknownName

try:
    from torchvision import models
except ImportError:
    raise MissingPackage("torchvision", "a torchvision: backbone") from None

_AUXILIARY = ("aux1", "aux2", "AuxLogits")  # second classifiers of GoogLeNet and Inception v3, for training only


def names(tags: bool = False) -> list[str]:
    """The architectures, and with `tags` also each with the names of its weights."""
    bare = models.list_models(module=models)
    tagged = [f"{model}/{weights.name}" for model in bare for weights in models.get_model_weights(model)]
    return bare + (tagged if tags else [])


def build(model: str, pretrained: bool) -> Network:
    """The model without its classifier; raises `MissingWeights` if weights are asked for and cannot be had."""
    weights = _weights(model)
    architecture = model.partition("/")[0]
    if pretrained:
        with fetching(f"torchvision:{model}", origin(model)):
            net = models.get_model(architecture, weights=weights)
    else:
        net = models.get_model(architecture, weights=None, **_shape(architecture, weights))
    for name in _AUXILIARY:
        if hasattr(net, name):
            setattr(net, name, None)
    if hasattr(net, "transform_input"):
        net.transform_input = True  # as the published weights of GoogLeNet and Inception v3 need it
    name, head = _classifier(net, classes=1000)
    net.set_submodule(name, nn.Identity())
    return Network(
        module=net.eval(),
        preprocess=_preprocessing(weights),
        weights=weights.name if pretrained else "random",
        architecture=f"torchvision:{architecture}",
        head=head if isinstance(head, nn.Linear) else None,
        unused=(f"{name}.", *(f"{auxiliary}." for auxiliary in _AUXILIARY)),
        pool=pool_maps_channels_last if architecture.startswith("swin") else pool_maps,
    )


def origin(model: str) -> Origin:
    """Where the pretrained weights come from and where torch keeps them."""
    weights = _weights(model)
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/")[-1]
    return Origin(weights.name, weights.url, path)


def _weights(model: str) -> Any:
    """The weights named, or the default ones."""
    architecture, _, tag = model.partition("/")
    if architecture not in models.list_models(module=models):
        raise UnknownName("backbone", f"torchvision:{model}", [f"torchvision:{name}" for name in names()])
    known = models.get_model_weights(architecture)
    if tag and tag not in known.__members__:
        tagged = [f"torchvision:{architecture}/{name}" for name in known.__members__]
        raise UnknownName("backbone", f"torchvision:{model}", tagged)
    return known[tag or "DEFAULT"]


def _shape(architecture: str, weights: Any) -> dict[str, Any]:
    """What must be said to build the network that the weights would fit, without them."""
    if architecture.startswith("vit_"):
        return {"image_size": weights.meta["min_size"][0]}
    return {"init_weights": False} if architecture in ("googlenet", "inception_v3") else {}


def _classifier(net: nn.Module, classes: int) -> tuple[str, nn.Module]:
    """The last layer with an output for each class, and its name."""
    layers = [
        (name, part)
        for name, part in net.named_modules()
        if classes in (getattr(part, "out_features", None), getattr(part, "out_channels", None))
    ]
    return layers[-1]


def _preprocessing(weights: Any) -> Preprocessing:
    transform = weights.transforms()
    settings = {
        "resize": transform.resize_size,
        "crop": transform.crop_size,
        "interpolation": transform.interpolation.value,
        "mean": list(transform.mean),
        "std": list(transform.std),
    }
    return Preprocessing(transform, transform.crop_size[0], settings)
