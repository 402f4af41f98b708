"""What can be told of a backbone before its weights are there."""

from typing import Any

import torch

from fewshot.backbones.layers import stage_names
from fewshot.backbones.network import Network
from fewshot.backbones.registry import build_network, build_sentence_tower, split_name, weights_origin
from fewshot.backbones.text_encoder import TextEncoder


def describe_backbone(name: str) -> dict[str, Any]:
    """Facts of a backbone, ready for JSON, with nothing downloaded: source, size, layers and where the weights are.

    `text` says whether it embeds texts too; a sentence encoder, which embeds nothing else, has a context length in
    tokens in place of images and layers. `weights_here` says whether the pretrained weights are on this machine,
    `weights_from` where they would come from, None if there are none. Raises `UnknownName` for a name that does not
    exist.
    """
    name, path = split_name(name)
    if name.startswith("sentence:"):
        return _describe_sentences(name)
    network, dim = _sketch(name)
    origin = weights_origin(name)
    return {
        "name": name,
        "source": name.partition(":")[0],
        "parameters": sum(parameter.numel() for parameter in network.module.parameters()),
        "dim": dim,
        "image_size": network.preprocess.image_size,
        "preprocessing": network.preprocess.settings,
        "layers": list(network.intermediates or stage_names(network.module)),
        "text": network.text is not None,
        "weights": str(path) if path else origin and origin.name,
        "weights_from": str(path) if path else origin and origin.address,
        "weights_here": path.is_file() if path else bool(origin and origin.here),
    }


def _describe_sentences(name: str) -> dict[str, Any]:
    tower, origin = build_sentence_tower(name, None, pretrained=False), weights_origin(name)
    encoder = TextEncoder(name, tower, torch.device("cpu"), "float32", "")
    return {
        "name": name,
        "source": "sentence",
        "parameters": encoder.parameters,
        "dim": encoder.dim,
        "context_length": encoder.context_length,
        "text": True,
        "weights": origin and origin.name,
        "weights_from": origin and origin.address,
        "weights_here": bool(origin and origin.here),
    }


def _sketch(name: str) -> tuple[Network, int]:
    """The network and its number of features, in shapes only where its code allows that, else with random weights."""
    try:
        return _build_on(name, "meta")
    except (RuntimeError, NotImplementedError):
        return _build_on(name, "cpu")


def _build_on(name: str, device: str) -> tuple[Network, int]:
    with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
        network = build_network(name, pretrained=False)
        return network, network.module(torch.empty(1, *network.preprocess.shape)).shape[1]
