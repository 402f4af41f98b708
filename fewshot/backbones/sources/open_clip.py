"""`open_clip:` — CLIP models, image tower and text tower: `open_clip:ViT-B-32/openai`, `open_clip:ViT-B-32@my.pt`.

A bare model name needs `pretrained=False` or a file, as open_clip has no default weights; `open_clip:local-dir:FOLDER`
reads a folder with `open_clip_config.json` and the weights. Features are those of `encode_image`, not normalised; the
text tower is `Backbone.text`, and the whole model `Backbone.joint`.
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fewshot.backbones.network import Network, Preprocessing
from fewshot.backbones.sources.projection import last_projection
from fewshot.backbones.weights import Origin, hub_file, load_weights
from fewshot.errors import MissingPackage, MissingWeights, UnknownName
from fewshot.fingerprint import fingerprint

try:
    import open_clip
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from fewshot.backbones.sources.open_clip_text import text_tower
    from fewshot.backbones.sources.open_clip_weights import FILES, checkpoint_adapter, load_options, model_config, split
except ImportError:
    raise MissingPackage("open_clip_torch", "an open_clip: backbone") from None


class ImageTower(nn.Module):
    """The image half of a CLIP model: images (B, 3, H, W) to features (B, D)."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual

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
    architecture, _ = split(model)
    folder = architecture.startswith("local-dir:")
    if pretrained and folder and found and not found.here:
        raise MissingWeights(f"the folder {found.address} has no weights file; put one there: {' or '.join(FILES)}")
    options = load_options(model, found) if pretrained and not folder else {"load_weights": False}
    joint: Any = open_clip.create_model(architecture, pretrained_image=False, pretrained_text=False, **options).eval()
    projection, before = last_projection(joint.visual)
    network = Network(
        module=ImageTower(joint.visual),
        preprocess=_preprocessing(joint),
        weights=found.name if pretrained and found else "random",
        architecture=_architecture(architecture, options.get("force_quick_gelu", False)),
        joint=joint,
        adapt=checkpoint_adapter(joint, architecture),
        projection=projection,
        before_projection=None if before is None else ImageTower(before),
    )
    network.text = lambda: text_tower(joint, f"open_clip:{model}", architecture, network.architecture, network.weights)
    if pretrained and folder and found and found.path:  # not by open_clip, which stretches what does not fit
        load_weights(network, found.path, f"open_clip:{model}")
        network.weights = found.name
    return network


def origin(model: str) -> Origin | None:
    """Where the weights of a tag come from; None for a bare model name."""
    architecture, tag = split(model)
    if architecture.startswith("local-dir:"):
        folder = Path(architecture.removeprefix("local-dir:"))
        if not (folder / "open_clip_config.json").is_file():
            raise MissingWeights(
                f"the folder {folder} has no open_clip_config.json; name a folder that open_clip saved"
            )
        return Origin(folder.name, str(folder), next((folder / f for f in FILES if (folder / f).is_file()), None))
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
        return Origin(tag, f"https://huggingface.co/{hub_id}", hub_file(hub_id, (file,) if file else FILES))
    return Origin(tag, config["url"], Path("~/.cache/clip").expanduser() / config["url"].rsplit("/")[-1])


def _architecture(name: str, quick_gelu: bool) -> str:
    """What the fingerprint counts: the same for a folder wherever it lies, another with another activation."""
    if name.startswith("local-dir:"):
        return f"open_clip:{fingerprint(model_config(name))}"
    return f"open_clip:{name}{'-quickgelu' if quick_gelu and not name.endswith('-quickgelu') else ''}"


def _preprocessing(joint: Any) -> Preprocessing:
    config = open_clip.get_model_preprocess_cfg(joint)
    size = config["size"]
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}
    transform = image_transform_v2(PreprocessCfg(**config), is_train=False)
    return Preprocessing(transform, size if isinstance(size, int) else size[0], settings)
