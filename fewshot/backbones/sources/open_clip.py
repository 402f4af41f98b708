"""`open_clip:` — the image towers of CLIP models: `open_clip:ViT-B-32/openai`, `open_clip:ViT-B-32@my.safetensors`.

A bare model name needs `pretrained=False` or a file, as open_clip has no default weights; `open_clip:local-dir:FOLDER`
reads a folder with `open_clip_config.json` and the weights. Features are those of `encode_image`, not normalised; the
whole model with its text tower is `Backbone.joint`.
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fewshot.backbones.network import Network, Preprocessing
from fewshot.backbones.weights import Origin, fetching, hub_file
from fewshot.errors import MissingPackage, MissingWeights, UnknownName
from fewshot.files import read_json
from fewshot.fingerprint import fingerprint

try:
    import open_clip
    from open_clip.pretrained import download_pretrained
    from open_clip.transform import PreprocessCfg, image_transform_v2
except ImportError:
    raise MissingPackage("open_clip_torch", "an open_clip: backbone") from None

_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_TRANSFORM = ("mean", "std", "interpolation", "resize_mode")


class ImageTower(nn.Module):
    """The image half of a CLIP model: images (B, 3, H, W) to features (B, D)."""

    def __init__(self, joint: Any) -> None:
        super().__init__()
        self.visual = joint.visual

    def forward(self, images: Tensor) -> Tensor:
        """The embedding; towers that also give tokens give it first."""
        output = self.visual(images)
        return output[0] if isinstance(output, tuple) else output


def names(tags: bool = False) -> list[str]:
    """The architectures, and with `tags` also each with its pretrained tags."""
    return open_clip.list_models() + ([f"{model}/{tag}" for model, tag in open_clip.list_pretrained()] if tags else [])


def build(model: str, pretrained: bool) -> Network:
    """The image tower; raises `MissingWeights` if weights are asked for and cannot be had."""
    found = origin(model)
    architecture, _ = _split(model)
    options = _load_options(model, found) if pretrained else {"load_weights": False}
    joint = open_clip.create_model(architecture, pretrained_image=False, pretrained_text=False, **options)
    return Network(
        module=ImageTower(joint).eval(),
        preprocess=_preprocessing(joint),
        weights=found.name if pretrained and found else "random",
        architecture=_architecture(architecture, options.get("force_quick_gelu", False)),
        joint=joint.eval(),
    )


def origin(model: str) -> Origin | None:
    """Where the weights of a tag come from; None for a bare model name."""
    architecture, tag = _split(model)
    if architecture.startswith("local-dir:"):
        folder = Path(architecture.removeprefix("local-dir:"))
        if not (folder / "open_clip_config.json").is_file():
            raise MissingWeights(
                f"the folder {folder} has no open_clip_config.json; name a folder that open_clip saved"
            )
        return Origin(folder.name, str(folder), next((folder / f for f in _FILES if (folder / f).is_file()), None))
    if architecture not in open_clip.list_models():
        raise UnknownName("backbone", f"open_clip:{model}", [f"open_clip:{name}" for name in names()])
    if not tag:
        return None
    config = open_clip.get_pretrained_cfg(architecture, tag)
    if not config:
        known = [f"open_clip:{architecture}/{one}" for one in open_clip.list_pretrained_tags_by_model(architecture)]
        raise UnknownName("backbone", f"open_clip:{model}", known)
    if config.get("hf_hub"):
        hub_id, _, file = config["hf_hub"].rpartition("/")
        return Origin(tag, f"https://huggingface.co/{hub_id}", hub_file(hub_id, (file,) if file else _FILES))
    return Origin(tag, config["url"], Path("~/.cache/clip").expanduser() / config["url"].rsplit("/")[-1])


def _load_options(model: str, found: Origin | None) -> dict[str, Any]:
    """What open_clip must be told to load the weights just as their tag says."""
    architecture, tag = _split(model)
    if found is None:
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        raise MissingWeights(
            f"open_clip:{model} names no weights, and open_clip has no default ones; add a tag to the name (known: "
            f"{', '.join(tags[:6]) or 'none'}), pass weights=PATH, or pass pretrained=False for random weights"
        )
    if not tag:
        if not found.here:
            raise MissingWeights(
                f"the folder {found.address} has no weights file; put one there: {' or '.join(_FILES)}"
            )
        return {"require_pretrained": True}
    config = open_clip.get_pretrained_cfg(architecture, tag)
    with fetching(f"open_clip:{model}", found):
        path = found.path if found.here else download_pretrained(config)
    return {
        "pretrained": str(path),
        "require_pretrained": True,
        "force_quick_gelu": config.get("quick_gelu", False),  # open_clip only warns where the model disagrees
        "force_preprocess_cfg": {key: config[key] for key in _TRANSFORM if key in config},
    }


def _architecture(name: str, quick_gelu: bool) -> str:
    """What the fingerprint counts: the same for a folder wherever it lies, another with another activation."""
    if name.startswith("local-dir:"):
        config = read_json(Path(name.removeprefix("local-dir:")) / "open_clip_config.json")
        return f"open_clip:{fingerprint(config['model_cfg'])}"
    return f"open_clip:{name}{'-quickgelu' if quick_gelu and not name.endswith('-quickgelu') else ''}"


def _split(model: str) -> tuple[str, str]:
    if model.startswith("local-dir:"):
        return model, ""
    architecture, _, tag = model.partition("/")
    return architecture, tag


def _preprocessing(joint: Any) -> Preprocessing:
    config = open_clip.get_model_preprocess_cfg(joint)
    size = config["size"]
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}
    transform = image_transform_v2(PreprocessCfg(**config), is_train=False)
    return Preprocessing(transform, size if isinstance(size, int) else size[0], settings)
