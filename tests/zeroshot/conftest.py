"""A small CLIP that knows six colours: trained for a moment, so that its vectors say something."""

import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file

from fewshot import create_backbone
from fewshot.backbones import Backbone

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 40),
    "blue": (30, 40, 220),
    "yellow": (230, 220, 40),
    "white": (240, 240, 240),
    "black": (15, 15, 15),
}
TOWERS = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
SAYINGS = ("a photo of a {}.", "a bad photo of the {}.", "{}", "a large {} thing")


def pictures(each: int, seed: int, most: int = 25) -> tuple[list[Image.Image], list[str]]:
    """Plain pictures in six colours, each off its own by up to `most` of 255."""
    off = torch.randint(-most, most + 1, (each, len(COLOURS), 3), generator=torch.Generator().manual_seed(seed))
    images, names = [], []
    for row in off.tolist():
        for (name, colour), change in zip(COLOURS.items(), row, strict=True):
            shade = tuple(min(255, max(0, value + by)) for value, by in zip(colour, change, strict=True))
            images.append(Image.new("RGB", (32, 32), shade))
            names.append(name)
    return images, names


@pytest.fixture
def draw() -> Callable[..., tuple[list[Image.Image], list[str]]]:
    """`draw(each, seed, most)` gives pictures and the names of their colours."""
    return pictures


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name under which the small CLIP is created, with its file of weights."""
    folder: Path = tmp_path_factory.mktemp("clip")
    (folder / "colour-clip.json").write_text(json.dumps(TOWERS))
    open_clip.add_model_config(folder / "colour-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("colour-clip", load_weights=False)
    _train(model)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "weights.safetensors")
    return f"open_clip:colour-clip@{folder / 'weights.safetensors'}"


@pytest.fixture(scope="session")
def clip(clip_file: str) -> Backbone:
    return create_backbone(clip_file, device="cpu", precision="float32")


@pytest.fixture(scope="session")
def joint(clip: Backbone) -> torch.nn.Module:
    """The same model as open_clip has it."""
    assert clip.joint is not None
    return clip.joint


def _train(model: torch.nn.Module) -> None:
    prepare = image_transform_v2(PreprocessCfg(size=32), is_train=False)
    images = torch.stack([prepare(image) for image in pictures(8, seed=1)[0]])
    texts = open_clip.get_tokenizer("colour-clip")([saying.format(name) for saying in SAYINGS for name in COLOURS])
    model.token_embedding.weight.requires_grad_(False).mul_(10)
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=3e-3)
    images, texts, own = images.split(6), texts.split(6), torch.arange(6)
    for step in range(40):
        vision, text, scale = model(images[step % 8], texts[step % 4])
        logits = scale * vision @ text.T
        loss = torch.nn.functional.cross_entropy(logits, own) + torch.nn.functional.cross_entropy(logits.T, own)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
