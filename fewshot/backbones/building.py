"""Networks with their weights in them, still on the CPU."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from fewshot.backbones.network import Network
from fewshot.backbones.registry import build_network
from fewshot.backbones.weights import load_weights

Built = TypeVar("Built")


def network_with_weights(name: str, path: Path | None, pretrained: bool, seed: int) -> Network:
    """The network of that name with weights of its source, of a file, or random ones drawn from `seed`."""
    network = seeded(seed, lambda: build_network(name, pretrained and path is None))
    if path is not None:
        load_weights(network, path, name)
    return network


def seeded(seed: int, build: Callable[[], Built]) -> Built:
    """What `build` gives where torch draws from `seed`; the generator of the program stays as it is."""
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def state_of(path: Path | None) -> tuple | None:
    """What tells a file from another, or from itself after a change."""
    if path is None:
        return None
    stat = path.stat() if path.exists() else None
    return str(path.resolve()), stat and (stat.st_size, stat.st_mtime_ns)
