"""The weights of open_clip's models: where a tag's come from, and checkpoints that must go with their model.

Some weights were trained with QuickGELU, x·sigmoid(1.702 x), some with GELU, and nothing in most files tells which. A
tag says it, and so does the name of a published file; where that disagrees with the model, nothing is loaded.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
from open_clip.pretrained import download_pretrained
from torch import Tensor

from fewshot.backbones.weights import Origin, fetching
from fewshot.errors import InvalidInput, MissingWeights
from fewshot.files import read_json

FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TRANSFORM = ("mean", "std", "interpolation", "resize_mode")
_OPENAI = ("input_resolution", "context_length", "vocab_size")  # numbers that only OpenAI's own checkpoints hold
_TEXT = ("text_projection", "positional_embedding", "token_embedding", "transformer", "ln_final")


def split(model: str) -> tuple[str, str]:
    """What open_clip calls the model, and the tag of its weights."""
    if model.startswith("local-dir:"):
        return model, ""
    architecture, _, tag = model.partition("/")
    return architecture, tag


def model_config(model: str) -> dict[str, Any]:
    """open_clip's settings of a model, those of a folder too."""
    if model.startswith("local-dir:"):
        return read_json(Path(model.removeprefix("local-dir:")) / "open_clip_config.json")["model_cfg"]
    return open_clip.get_model_config(model)


def load_options(model: str, found: Origin | None) -> dict[str, Any]:
    """What open_clip must be told to load the weights just as their tag says; raises `MissingWeights`."""
    architecture, tag = split(model)
    if found is None:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise MissingWeights(
            f"open_clip:{model} names no weights, and open_clip has no default ones; add a tag to the name (known: "
            f"{', '.join(tags[:6]) or 'none'}), pass weights=PATH, or pass pretrained=False for random weights"
        )
    config = open_clip.get_pretrained_cfg(architecture, tag)
    quick = config.get("quick_gelu")
    if quick is not None:
        _check_activation(f"the weights {tag}", quick, architecture, f"/{tag}", always=False)
    with fetching(f"open_clip:{model}", found):
        path = found.path if found.here else download_pretrained(config)
    return {
        "pretrained": str(path),
        "require_pretrained": True,
        "force_quick_gelu": bool(quick),  # open_clip only warns where the model disagrees
        "force_preprocess_cfg": {key: config[key] for key in _TRANSFORM if key in config},
    }


def checkpoint_adapter(joint: Any, model: str) -> Callable[[dict[str, Tensor], Path], dict[str, Tensor]]:
    """A function that gives a checkpoint the names that `joint` uses.

    It raises `InvalidInput` if the checkpoint is known to need another activation than `model` has.
    """

    def adapt(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
        openai = all(name in state for name in _OPENAI)
        quick = True if openai else _published().get(path.name)
        if quick is not None:
            _check_activation(f"the weights in {path}", quick, model, f"@{path}", always=True)
        state = {name: tensor for name, tensor in state.items() if name not in _OPENAI}
        if hasattr(joint, "text") and "positional_embedding" in state:  # saved where the text half lay open
            state = {f"text.{name}" if name.startswith(_TEXT) else name: tensor for name, tensor in state.items()}
        for name in ("logit_scale", "logit_bias"):  # a number or a list of one, by version
            if name in state and getattr(joint, name, None) is not None and state[name].numel() == 1:
                state[name] = state[name].reshape(getattr(joint, name).shape)
        return state

    return adapt


def _check_activation(what: str, quick: bool, model: str, rest: str, always: bool) -> None:
    """Raise `InvalidInput` if `model` has another activation than `what` was trained with.

    `always`: also where the weights want QuickGELU and the model hasn't got it, which open_clip can switch on.
    `rest`: what follows the model in the name that was asked for.
    """
    has = bool(model_config(model).get("quick_gelu"))
    if has == quick or (quick and not always):
        return
    other = model.removesuffix("-quickgelu") if has else f"{model}-quickgelu"
    known = f"name open_clip:{other}{rest}" if other in open_clip.list_models() else "its settings must agree"
    kinds = ("GELU", "QuickGELU")
    raise InvalidInput(f"{what} were trained with {kinds[quick]}, and open_clip:{model} computes {kinds[has]}; {known}")


@cache
def _published() -> dict[str, bool]:
    """Whether the file of that name, as it was published, holds weights trained with QuickGELU."""
    configs = [open_clip.get_pretrained_cfg(model, tag) for model, tag in open_clip.list_pretrained()]
    # OpenAI's names, as ViT-B-32.pt, are what anybody would call a file; its files tell by what they hold
    urls = [(str(config.get("url") or ""), config.get("quick_gelu")) for config in configs]
    named = [(url.rsplit("/")[-1], quick) for url, quick in urls if url and "openai" not in url]
    return {file: quick for file, quick in named if quick is not None}
