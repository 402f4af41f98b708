"""`timm:` — everything that timm lists, with its pretrained tags: `timm:resnet18`, `timm:resnet18.a1_in1k`."""

from typing import Any

from torch import nn

from fewshot.backbones.network import Network, Preprocessing
from fewshot.backbones.sources.packaged import packaged_file, packaged_weights
from fewshot.backbones.weights import Origin, fetching, hub_file
from fewshot.errors import MissingPackage, MissingWeights, UnknownName

try:
    import timm
except ImportError:
    raise MissingPackage("timm", "a timm: backbone") from None


def names(tags: bool = False) -> list[str]:
    """The architectures, and with `tags` also each with its pretrained tags."""
    return timm.list_models() + (timm.list_pretrained() if tags else [])


def build(model: str, pretrained: bool) -> Network:
    """The model without its classifier; raises `MissingWeights` if weights are asked for and cannot be had."""
    found = origin(model)
    net: Any = _load(model, found) if pretrained else timm.create_model(model)
    head = net.get_classifier()
    net.reset_classifier(0)
    unused = net.pretrained_cfg.get("classifier") or ()
    return Network(
        module=net.eval(),
        preprocess=_preprocessing(net),
        weights=found.name if pretrained and found else "random",
        architecture=f"timm:{model.partition('.')[0]}",
        head=head if isinstance(head, nn.Linear) else None,
        unused=tuple(f"{name}." for name in ((unused,) if isinstance(unused, str) else unused)),
        intermediates=tuple(stage["module"] for stage in _stages(net)),
    )


def origin(model: str) -> Origin | None:
    """Where the pretrained weights come from: a package, else the Hugging Face hub or a URL; None if there are none."""
    _check(model)
    package = packaged_file(model)
    if package:
        return Origin(package.name, f"the package {package.parent.parent.name}", package)
    config = timm.get_pretrained_cfg(model)
    if config is None or not config.has_weights:
        return None
    if config.hf_hub_id:
        name = str(config.hf_hub_id)
        files = [config.hf_hub_filename] if config.hf_hub_filename else ["model.safetensors", "pytorch_model.bin"]
        return Origin(name, f"https://huggingface.co/{name}", hub_file(name, files))
    return Origin(f"{config.architecture}.{config.tag}", str(config.url or config.file))


def _check(model: str) -> None:
    """Raise `UnknownName` for a name that timm does not list."""
    architecture, _, tag = model.partition(".")
    known = timm.list_pretrained(f"{architecture}.*") if timm.is_model(architecture) else names()
    if not timm.is_model(architecture) or (tag and model not in known):
        raise UnknownName("backbone", f"timm:{model}", [f"timm:{name}" for name in known])


def _load(model: str, found: Origin | None) -> nn.Module:
    if found is None:
        raise MissingWeights(f"timm has no pretrained weights for {model}; pass weights=PATH or pretrained=False")
    if packaged_file(model):
        net = timm.create_model(model)
        net.load_state_dict(packaged_weights(model, net.state_dict()))
        return net
    local = {"file": str(found.path)} if found.here else {}  # or else timm asks the hub even for what is cached
    with fetching(f"timm:{model}", found):
        return timm.create_model(model, pretrained=True, pretrained_cfg_overlay=local)


def _stages(net: Any) -> list[dict[str, Any]]:
    info = getattr(net, "feature_info", [])
    return info if isinstance(info, list) else info.info


def _preprocessing(net: nn.Module) -> Preprocessing:
    config = timm.data.resolve_model_data_config(net)
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}
    return Preprocessing(timm.data.create_transform(**config), config["input_size"][-1], settings)
