"""Features from chosen layers of a network: shallow, deep or several, pooled and blended into one vector."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fewshot.errors import InvalidInput, UnknownName

Layer = str | int
Blend = Callable[[list[Tensor]], Tensor]

_TRUNKS = (  # where the libraries keep the blocks of a network
    "features",
    "encoder.layers",
    "trunk_output",
    "blocks",
    "layers",
    "visual.transformer.resblocks",
    "visual.trunk.blocks",
    "visual.trunk.stages",
    "visual",
)


def stage_names(module: nn.Module) -> list[str]:
    """The names of a module's stages in the order of computation, for layers given by index.

    They are the blocks of its trunk, or in a plain net, such as AlexNet, its layers with weights.
    """
    trunk = next((name for name in _TRUNKS if _has(module, name)), "")
    children = list(module.get_submodule(trunk).named_children())
    blocks = [name for name, child in children if any(child.children()) and any(True for _ in child.parameters())]
    plain = [name for name, child in children if any(True for _ in child.parameters(recurse=False))]
    return [f"{trunk}.{name}" if trunk else name for name in blocks or plain]


def choose_layers(layers: Layer | Sequence[Layer], stages: Sequence[str], others: Sequence[str] = ()) -> list[str]:
    """The names behind `layers`: names, indices (negative ones from the end), or "shallow", "middle", "deep".

    "shallow" ends the first third of the stages, "middle" the second, "deep" is the last. `others` are further names
    that may be given. Raises `UnknownName` for one that is in neither, `InvalidInput` for an index out of range.
    """
    asked = [layers] if isinstance(layers, str | int) else list(layers)
    if not asked:
        raise InvalidInput("layers is empty; name at least one layer, or pass None for the pooled features")
    last = len(stages) - 1
    words = {"shallow": last // 3, "middle": 2 * last // 3, "deep": last}
    names = []
    for layer in asked:
        index = words.get(layer) if isinstance(layer, str) else layer
        if index is None:
            if layer not in stages and layer not in others:
                raise UnknownName("layer", str(layer), [*stages, *others])
            names.append(str(layer))
        elif -len(stages) <= index < len(stages):
            names.append(stages[index])
        else:
            raise InvalidInput(f"layer {layer} does not exist: the {len(stages)} stages are {', '.join(stages)}")
    return names


def concatenate(features: list[Tensor]) -> Tensor:
    """The default blend: each (B, C_i) divided by its Euclidean norm, then side by side, (B, sum of C_i)."""
    return torch.cat([normalize(feature.float(), dim=1) for feature in features], dim=1)


def pool_maps(output: Tensor) -> Tensor:
    """The mean over positions: (B, C, H, W) or tokens (B, N, C) to (B, C); (B, C) stays."""
    return output.mean((2, 3)) if output.ndim == 4 else output.mean(1) if output.ndim == 3 else output


def pool_maps_channels_last(output: Tensor) -> Tensor:
    """The mean over positions where the channels come last: (B, H, W, C) to (B, C)."""
    return output.mean((1, 2)) if output.ndim == 4 else pool_maps(output)


def layer_features(
    module: nn.Module,
    layers: Layer | Sequence[Layer],
    blend: Blend,
    pool: Callable[[Tensor], Tensor] = pool_maps,
    intermediates: Sequence[str] | None = None,
) -> tuple[nn.Module, tuple[str, ...]]:
    """A module from images to the blended features of `layers`, and the names of those layers.

    With `intermediates`, the names of what timm's `forward_intermediates` gives, a layer is one of these; without, it
    is any submodule.
    """
    if intermediates is not None:
        names = choose_layers(layers, intermediates)
        indices = [list(intermediates).index(name) for name in names]
        return IntermediateFeatures(module, indices, blend), tuple(names)
    names = choose_layers(layers, stage_names(module), [name for name, _ in module.named_modules() if name])
    return LayerFeatures(module, names, pool, blend), tuple(names)


class _Enough(Exception):
    """The last layer that was asked for has been computed."""


class LayerFeatures(nn.Module):
    """Images (B, 3, H, W) to blended features (B, D) of the layers `names`; what comes after them is not computed."""

    def __init__(
        self, module: nn.Module, names: Sequence[str], pool: Callable[[Tensor], Tensor], blend: Blend = concatenate
    ) -> None:
        super().__init__()
        self.module, self.names, self.pool, self.blend = module, list(names), pool, blend

    def forward(self, images: Tensor) -> Tensor:
        """One pass up to the last of the layers."""
        pooled: dict[str, Tensor] = {}
        layers = {name: self.module.get_submodule(name) for name in self.names}
        hooks = [layer.register_forward_hook(self._keep(name, pooled)) for name, layer in layers.items()]
        try:
            self.module(images)
        except _Enough:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return self.blend([pooled[name] for name in self.names])

    def _keep(self, name: str, pooled: dict[str, Tensor]) -> Callable[..., None]:
        def hook(_: nn.Module, __: tuple, output: Tensor | tuple) -> None:
            # pooled at once, since an in-place activation may follow
            pooled[name] = self.pool(output[0] if isinstance(output, tuple) else output)
            if len(pooled) == len(set(self.names)):
                raise _Enough

        return hook


class IntermediateFeatures(nn.Module):
    """The same through timm's `forward_intermediates`, which knows how each of its models lays out its maps."""

    def __init__(self, module: nn.Module, indices: Sequence[int], blend: Blend = concatenate) -> None:
        super().__init__()
        self.module: Any = module
        self.indices, self.blend = list(indices), blend

    def forward(self, images: Tensor) -> Tensor:
        """One pass up to the last of the layers."""
        wanted = sorted(set(self.indices))
        maps = self.module.forward_intermediates(images, indices=wanted, intermediates_only=True, stop_early=True)
        pooled = dict(zip(wanted, map(pool_maps, maps), strict=True))
        return self.blend([pooled[index] for index in self.indices])


def _has(module: nn.Module, name: str) -> bool:
    try:
        return any(module.get_submodule(name).children())
    except AttributeError:
        return False
