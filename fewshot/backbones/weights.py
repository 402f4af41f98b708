"""Weights: where pretrained ones come from, how a file of them is read, and the name of their content."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.network import Network
from fewshot.errors import InvalidInput, MissingWeights, UnreadableFile

_WRAPPERS = ("state_dict", "model_state_dict", "model", "state_dict_ema")
_PREFIXES = ("module.", "_orig_mod.")
_TRAINED = "model.backbone."  # in a checkpoint of `meta_train`


@dataclass(frozen=True)
class Origin:
    """Where the pretrained weights of a model come from: what they are called, their address, and their local file."""

    name: str
    address: str
    path: Path | None = None

    @property
    def here(self) -> bool:
        """Whether the file is on this machine already."""
        return self.path is not None and self.path.is_file()

    def missing(self, model: str, reason: object) -> MissingWeights:
        """The error that says what could not be fetched and what to put where."""
        place = f"put the file at {self.path}, or pass" if self.path else "download it elsewhere and pass"
        return MissingWeights(
            f"{model}: the weights {self.name} could not be fetched from {self.address} ({reason}); {place} "
            "weights=PATH, or pass pretrained=False for random weights"
        )


@contextmanager
def fetching(model: str, origin: Origin) -> Iterator[None]:
    """Turn a failed download into `MissingWeights`, at once where no server answers."""
    if origin.here:
        yield
        return
    reason = unreachable(origin.address)
    if reason:
        raise origin.missing(model, reason)
    try:
        yield
    except Exception as error:  # each library and each protocol has its own
        raise origin.missing(model, error) from error


def unreachable(address: str, timeout: float = 5.0) -> str | None:
    """None if a server answers at `address` within `timeout` seconds, else the reason why not."""
    request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "fewshot"})
    try:
        urllib.request.urlopen(request, timeout=timeout).close()
    except urllib.error.HTTPError:
        return None  # a server that refuses this request is there
    except (urllib.error.URLError, OSError) as error:
        return str(getattr(error, "reason", error))
    return None


def hub_file(hub_id: str, files: Iterable[str]) -> Path | None:
    """The first of these files of a Hugging Face repository that is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(hub_id, file) for file in files)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state dict in a safetensors file, or in one that `torch.load(weights_only=True)` reads.

    A dict wrapped as "state_dict" or "model" is unwrapped, and prefixes that wrappers add ("module.") are dropped; of a
    checkpoint that `meta_train` wrote, the backbone is taken.
    Raises `MissingWeights` where there is no such file, `UnreadableFile` for another kind of file.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingWeights(f"there is no weights file {path}; pass the path of a safetensors or torch file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has its own errors for a damaged file
        reason = str(error).strip().splitlines()[0]
        raise UnreadableFile(f"{path} cannot be read as safetensors or as a torch state dict: {reason}") from None
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UnreadableFile(f"{path} holds no state dict (names to tensors), but a {type(content).__name__}")
    content = {key: value for key, value in content.items() if key.startswith(_TRAINED)} or content
    for prefix in (*_PREFIXES, _TRAINED):
        if all(key.startswith(prefix) for key in content):
            content = {key.removeprefix(prefix): value for key, value in content.items()}
    return dict(content)


def load_weights(network: Network, path: str | Path, model: str) -> None:
    """Fill the network from a file; every tensor must fit, except those of a classifier, which are left out.

    Raises `InvalidInput` naming the first keys that are missing, unexpected or of another shape.
    """
    state = read_weights(path)
    if network.adapt:
        state = network.adapt(state, Path(path))
    module = network.joint or network.module
    wanted = module.state_dict()
    state = {key: value for key, value in state.items() if key in wanted or not key.startswith(network.unused)}
    faults = {
        "missing": [key for key in wanted if key not in state],
        "unexpected": [key for key in state if key not in wanted],
        "of another shape": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}"
            for key in wanted
            if key in state and state[key].shape != wanted[key].shape
        ],
    }
    if any(faults.values()):
        told = "; ".join(_told(fault, keys) for fault, keys in faults.items() if keys)
        raise InvalidInput(f"the weights in {path} are not those of {model}: {told}")
    module.load_state_dict(state)
    network.head, network.weights = None, str(path)


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Sixteen hexadecimal digits over names, types, shapes and values, in the order of the names."""
    content = hashlib.blake2b(digest_size=8)
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        content.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        content.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # not copied
    return content.hexdigest()


def _told(fault: str, keys: list[str]) -> str:
    return f"{len(keys)} {fault}: {', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}"
