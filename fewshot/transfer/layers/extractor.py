"""Every stage of a network and its final features at once: one pass, one embedding table, split by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fewshot.backbones import Backbone, Network
from fewshot.backbones.building import network_with_weights
from fewshot.backbones.devices import choose_device, choose_precision
from fewshot.backbones.folding import fold_batch_norms
from fewshot.backbones.layers import LayerFeatures, choose_layers, pool_maps, stage_names
from fewshot.backbones.registry import split_name
from fewshot.backbones.weights import weights_hash
from fewshot.embeddings import EmbeddingTable, embed
from fewshot.errors import InvalidInput, UnknownName
from fewshot.fingerprint import fingerprint

if TYPE_CHECKING:
    from fewshot.datasets import Dataset

OUTPUT = "output"  # the features below the classifier, as a layer of its own


@dataclass(frozen=True)
class LayerExtractor:
    """A backbone that gives all of `names` side by side, each pooled over positions; `widths` are their channels."""

    backbone: Backbone
    names: tuple[str, ...]
    widths: tuple[int, ...]

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """The features (B, C) of each layer for prepared images (B, 3, H, W), in one pass."""
        return self.split(self.backbone(images))

    def split(self, features: Tensor) -> dict[str, Tensor]:
        """The columns (N, C) of each layer in features (N, sum of C) of the backbone."""
        return dict(zip(self.names, features.split(self.widths, dim=1), strict=True))

    def embed(self, dataset: Dataset, **options: Any) -> tuple[dict[str, Tensor], EmbeddingTable]:
        """The features (N, C) of each layer for a whole data set, and the table that holds all; options as of `embed`.

        The table is kept in the cache, so that all layers are computed once, whatever is asked of them later.
        """
        table = embed(self.backbone, dataset, **options)
        return self.split(table.features), table


def layer_extractor(
    name: str,
    layers: Sequence[str | int] | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    pretrained: bool = True,
    seed: int = 0,
) -> LayerExtractor:
    """The stages of the backbone called `name`, and its final features as the layer "output".

    `layers`: some of them, by name, by index or as "shallow", "middle", "deep"; None for all. Raises `UnknownName` for
    one that does not exist, with the near ones, and what `create_backbone` raises.
    """
    name, path = split_name(name)
    device = choose_device(device)
    precision = choose_precision(precision, device)
    network = network_with_weights(name, path, pretrained, seed)
    names = chosen_names(network, layers)
    content = weights_hash(network.module.state_dict())
    mark = fingerprint(
        network.architecture or name, content, network.preprocess.settings, precision, [*names, "every layer"]
    )
    trial = torch.rand(1, *network.preprocess.shape, generator=torch.Generator().manual_seed(0))
    widths: list[int] = []
    module = every_layer(network, names, lambda parts: _side_by_side(parts, widths))
    with torch.no_grad():
        module(trial)
    folded = fold_batch_norms(every_layer(network, names, _side_by_side), trial)
    backbone = Backbone(name, network, folded, device, precision, tuple(names), mark)
    return LayerExtractor(backbone, tuple(names), tuple(widths))


def chosen_names(network: Network, layers: Sequence[str | int] | None) -> list[str]:
    """The names behind `layers`, in the order of computation; all stages and "output" for None."""
    stages = list(network.intermediates or stage_names(network.module))
    if layers is None:
        return [*stages, OUTPUT]
    others = [OUTPUT] if network.intermediates else [OUTPUT, *dict(network.module.named_modules())]
    try:
        asked = choose_layers(list(layers), stages, others)
    except UnknownName:
        asked = choose_layers(list(layers), stages, [OUTPUT])  # lists the stages, not hundreds of modules
    if len(set(asked)) < len(asked):
        raise InvalidInput(f"a layer is named twice: {', '.join(asked)}; name each once")
    return asked


def every_layer(network: Network, names: Sequence[str], blend: Callable[[list[Tensor]], Tensor]) -> nn.Module:
    """A module from images (B, 3, H, W) to the blend of the pooled features of `names`, in one pass."""
    if network.intermediates is not None:
        return _IntermediatesAndOutput(network.module, network.intermediates, names, blend)
    hooked = ["" if name == OUTPUT else name for name in names]  # the module itself is called ""
    return LayerFeatures(network.module, hooked, network.pool, blend)


class _IntermediatesAndOutput(nn.Module):
    """timm's `forward_intermediates`, and from where it ends on to the features."""

    def __init__(
        self, module: nn.Module, stages: Sequence[str], names: Sequence[str], blend: Callable[[list[Tensor]], Tensor]
    ) -> None:
        super().__init__()
        self.module: Any = module
        self.names, self.blend = list(names), blend
        self.indices = [place for place, stage in enumerate(stages) if stage in names]
        self.stages = [stages[place] for place in self.indices]

    def forward(self, images: Tensor) -> Tensor:
        """One pass; it ends at the last of the layers where the final features are not asked for."""
        if not self.stages:
            found = {OUTPUT: self.module(images)}
            maps = []
        elif OUTPUT in self.names:
            last, maps = self.module.forward_intermediates(images, indices=self.indices)
            found = {OUTPUT: self.module.forward_head(last)}
        else:
            found = {}
            maps = self.module.forward_intermediates(
                images, indices=self.indices, intermediates_only=True, stop_early=True
            )
        found |= dict(zip(self.stages, map(pool_maps, maps), strict=True))
        return self.blend([found[name] for name in self.names])


def _side_by_side(parts: list[Tensor], widths: list[int] | None = None) -> Tensor:
    if widths is not None:
        widths[:] = [part.shape[1] for part in parts]
    return torch.cat([part.float() for part in parts], dim=1)
