"""The network that is fine-tuned: a trunk of the registry with a new linear head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewshot.backbones import Network, Preprocessing
from fewshot.backbones.building import network_with_weights, seeded
from fewshot.backbones.registry import split_name
from fewshot.errors import InvalidInput
from fewshot.files import write_tensors
from fewshot.transfer.finetuning.depth import Unit, chosen_parameters, depth_units


class TransferModel(nn.Module):
    """Images (B, C, H, W), as `preprocess` makes them, to logits (B, classes): `trunk`, then `head`.

    `units` tell the depth of the trunk's parameters. `pretraining_head` holds the map from features to the pretraining
    classes where the weights come with one, and `source_head` is that map while it is trained too. `always_frozen`
    names the parameters that no stage trains, for methods that add their own.
    """

    def __init__(
        self, name: str, network: Network, classes: int, preprocess: Preprocessing, units: Sequence[Unit], dim: int
    ) -> None:
        super().__init__()
        self.name, self.preprocess, self.units = name, preprocess, tuple(units)
        self.trunk = network.module
        self.head = nn.Linear(dim, classes)
        self.source_head: nn.Module | None = None
        self.pretraining_head = [network.head] if network.head is not None else []  # a list: no part of the module
        self.always_frozen: set[str] = set()
        self._submodules = [name for name, _ in network.module.named_modules() if name]
        self._heights = {
            f"trunk.{name}": height for height, unit in enumerate(reversed(units), 1) for name in unit.parameters
        }

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W), as `preprocess` makes them."""
        return self.head(self.trunk(images))

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self.head.weight.device

    def choose(self, what: str) -> set[str]:
        """The names of the parameters that a stage trains; see `chosen_parameters`. Heads are always among them."""
        chosen = {f"trunk.{name}" for name in chosen_parameters(self.units, what, self._submodules)}
        names = {name for name, _ in self.named_parameters()}
        return {name for name in names if not name.startswith("trunk.") or self._origin(name) in chosen} - (
            self.always_frozen
        )

    def freeze_but(self, chosen: set[str], norms: str) -> None:
        """Let only these parameters learn; the others get no gradient, and their layers keep still in training too."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in chosen)
            if name not in chosen:
                parameter.grad = None
        self.train()
        for part in self.modules():
            own = list(part.parameters())
            still = bool(own) and not any(parameter.requires_grad for parameter in own)
            if still or (norms == "frozen" and isinstance(part, nn.modules.batchnorm._BatchNorm)):
                part.eval()

    def height(self, name: str) -> int:
        """How far below the head a parameter of the trunk lies: 1 for the topmost unit, 0 for a head."""
        return self._heights[self._origin(name)] if name.startswith("trunk.") else 0

    def _origin(self, name: str) -> str:
        """The parameter of the first network that this one is, or to whose module it was added."""
        while name not in self._heights:
            if f"{name}.weight" in self._heights:
                return f"{name}.weight"
            name = name.rpartition(".")[0]
        return name

    def export_backbone(self, path: str | Path) -> None:
        """Write the trunk's weights alone, for `create_backbone(name, weights=path)`."""
        write_tensors(path, plain_weights(self.trunk), {})


def plain_weights(trunk: nn.Module) -> Mapping[str, Tensor]:
    """The state of a trunk under the names of the registry's network, low-rank updates merged into the weights."""
    tensors: dict[str, Tensor] = {}
    merged = [(name, part) for name, part in trunk.named_modules() if hasattr(part, "get_delta_weight")]
    for name, tensor in trunk.state_dict().items():
        if ".lora_" in f".{name}":
            continue
        tensors[name.replace(".base_layer.", ".")] = tensor.detach().clone()
    for name, part in merged:
        layer: Any = part
        for adapter in layer.active_adapters:
            tensors[f"{name}.weight"] += layer.get_delta_weight(adapter).detach()
    return tensors


def build_model(
    backbone: str, classes: int, image_size: int | None = None, pretrained: bool = True, seed: int = 0
) -> TransferModel:
    """A fresh network of that name, never the shared one, with a head drawn from `seed`; on the CPU.

    `image_size` in pixels, by default what the weights were trained at. Raises `UnknownName` or `MissingWeights` as
    `create_backbone` does, and `InvalidInput` for images that the network does not take.
    """
    name, path = split_name(backbone)
    network = network_with_weights(name, path, pretrained, seed)
    preprocess = resized(network.preprocess, image_size or network.preprocess.image_size)
    images = torch.rand(2, *preprocess.shape, generator=torch.Generator().manual_seed(0))
    units = depth_units(network, images)
    network.module.eval()
    with torch.no_grad():
        features = network.module(images)
    if features.ndim != 2:
        raise InvalidInput(f"{name} gives {tuple(features.shape)} for two images, where features (2, dim) are needed")
    model = seeded(seed, lambda: TransferModel(name, network, classes, preprocess, units, features.shape[1]))
    return model.to(memory_format=torch.channels_last)


def resized(preprocess: Preprocessing, size: int) -> Preprocessing:
    """The same preprocessing at another size: the shorter side is resized to `size`, then the middle is cut out.

    It stays as it is for its own size. Raises `InvalidInput` where its settings have no mean and std.
    """
    if size == preprocess.image_size:
        return preprocess
    if not {"mean", "std"} <= set(preprocess.settings):
        raise InvalidInput("images of another size need a preprocessing with mean and std in its settings")
    from torchvision import transforms

    mean, std = preprocess.settings["mean"], preprocess.settings["std"]
    steps = [transforms.Resize(size, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(size)]
    if preprocess.channels == 1:
        steps.append(transforms.Grayscale())
    transform = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(mean, std)])
    settings = {"resize": size, "crop": size, "interpolation": "bicubic", "mean": list(mean), "std": list(std)}
    return replace(preprocess, transform=transform, image_size=size, settings=settings)
