"""Why do raw pixels beat ImageNet features on openmoji? An emoji's two pictures share their outline, pixel for pixel.

Moves and shrinks the line drawings and scores the same tasks again: what rests on the outline's place falls, what
recognises stays. Run with `uv run --extra offline python benchmarks/openmoji_shift.py`; writes findings/.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

import fewshot
from fewshot.benchmark import Protocol
from fewshot.datasets import Images
from fewshot.provenance import provenance

PROTOCOL = Protocol("openmoji-small", queries=1, episodes=600, support_domain="color", query_domain="line")
MOVED, SIZE = (14, 9), 0.85  # pixels of 128, and the share of the size that is left


class Moved(Images):
    """The pictures of `base`, those at `places` shrunk and moved on their white ground."""

    def __init__(self, base: Images, places: set[int]) -> None:
        self.base, self.places = base, places

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, index: int) -> Image.Image:
        picture = self.base[index]
        if index not in self.places:
            return picture
        small = ImageOps.scale(picture, SIZE)
        ground = Image.new("RGB", picture.size, "white")
        ground.paste(small, MOVED)
        return ground

    def digest(self, index: int) -> str:
        return self.base.digest(index) + ("-moved" if index in self.places else "")

    def describe(self) -> dict[str, Any]:
        return {**self.base.describe(), "moved": MOVED, "size": SIZE}


def main() -> None:
    dataset = fewshot.load_dataset("openmoji-small")
    domain = dataset.groups["domain"]
    lines = set((domain.codes == domain.names.index("line")).nonzero().flatten().tolist())
    moved = replace(dataset, images=Moved(dataset.images, lines))
    found = {}
    for name in ("timm:tf_efficientnet_lite0", "fewshot:raw-pixels", "fewshot:conv4"):
        backbone = fewshot.create_backbone(name, precision="float32", pretrained=name != "fewshot:conv4")
        for words, images in (("as drawn", dataset), ("lines moved and shrunk", moved)):
            table = fewshot.embed(backbone, images)
            score = fewshot.evaluate(fewshot.create_learner("ridge"), table, PROTOCOL.sampler(table).sample(600))
            found[f"{name}, {words}"] = {"accuracy": score.accuracy, "ci95": score.ci95}
            print(f"{name:<30} {words:<24} {score}")
    content = {"work": f"{PROTOCOL.task}, ridge, 600 tasks, seed 0", "found": found, "provenance": provenance()}
    path = Path(__file__).parent / "findings" / "openmoji_shift.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
