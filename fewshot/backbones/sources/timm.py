"""`timm:` — everything that timm lists, with its pretrained tags: `timm:resnet18`, `timm:resnet18.a1_in1k`."""

from pathlib import Path
from typing import Any

from torch import nn

from fewshot.backbones.network import Network, Preprocessing
from fewshot.backbones.sources.packaged import packaged_file, packaged_weights
from fewshot.backbones.weights import Origin, reachable
from fewshot.errors import MissingPackage, MissingWeights, UnknownName

try:
    import timm
except ImportError:
    raise MissingPackage("timm", "a timm: backbone") from None


def names(tags: bool = False) -> list[str]:
    """The architectures, and with `tags` also each with its pretrained tags."""
    return timm.list_models(include_tags=True) + timm.list_models() if tags else timm.list_models()


def build(model: str, pretrained: bool) -> Network:
    """The model without its classifier; raises `MissingWeights` if they are asked for and cannot be had."""
    known(model)
    overlay, weights = _find_weights(model) if pretrained else ({}, "random")
    net = timm.create_model(model, pretrained=pretrained, pretrained_cfg_overlay=overlay)
    head = net.get_classifier()
    net.reset_classifier(0)
    unused = net.pretrained_cfg.get("classifier") or ()
    return Network(
        module=net.eval(),
        preprocess=_preprocessing(net),
        weights=weights,
        architecture=f"timm:{model.partition('.')[0]}",
        head=head if isinstance(head, nn.Linear) else None,
        unused=tuple(f"{name}." for name in ((unused,) if isinstance(unused, str) else unused)),
        intermediates=tuple(stage["module"] for stage in _stages(net)),
    )


def origin(model: str) -> Origin | None:
    """Where the pretrained weights come from: a package, else the Hugging Face hub or a URL; None if there are none."""
    known(model)
    package = packaged_file(model)
    if package:
        return Origin(package.name, f"the package {package.parent.parent.name}", package)
    config = timm.get_pretrained_cfg(model)
    if config is None or not config.has_weights:
        return None
    if config.hf_hub_id:
        name = config.hf_hub_id + ("" if "/" in config.hf_hub_id else model)
        return Origin(name, f"https://huggingface.co/{name}", _cached(name, config.hf_hub_filename))
    return Origin(f"{config.architecture}.{config.tag}", config.url or str(config.file))


def known(model: str) -> None:
    """Raise `UnknownName` for a name that timm does not list."""
    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture) or (
        tag and model not in timm.list_models(f"{architecture}.*", include_tags=True)
    ):
        raise UnknownName("backbone", f"timm:{model}", [f"timm:{name}" for name in names(tags="." in model)])


def _find_weights(model: str) -> tuple[dict[str, Any], str]:
    """What timm must know to load the weights, and what they are called; a network that is down is found out at once."""
    found = origin(model)
    if found is None:
        raise MissingWeights(f"timm has no pretrained weights for {model}; pass weights=PATH or pretrained=False")
    if packaged_file(model):
        return {"state_dict": packaged_weights(model, timm.create_model(model).state_dict())}, found.name
    if found.here:
        return {"file": str(found.path)}, found.name
    reason = reachable(found.address)
    if reason:
        raise found.missing(f"timm:{model}", reason)
    return {}, found.name


def _cached(hub_id: str, filename: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in (filename,) if filename else ("model.safetensors", "pytorch_model.bin"):
        path = try_to_load_from_cache(hub_id, name)
        if isinstance(path, str):
            return Path(path)
    return None


def _stages(net: nn.Module) -> list[dict[str, Any]]:
    info = getattr(net, "feature_info", [])
    return info if isinstance(info, list) else info.info


def _preprocessing(net: nn.Module) -> Preprocessing:
    config = timm.data.resolve_model_data_config(net)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}
    return Preprocessing(timm.data.create_transform(**config), config["input_size"][-1], settings)
