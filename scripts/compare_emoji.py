"""Unseen emoji by name, drawn by OpenMoji and by Google: does what a bridge reaches turn on whose drawings it sees?

Bridges as in compare_bridges.py, on OpenMoji's and on Google's colour pictures (Noto Emoji, npm package
@iconify-json/noto 1.2.9, Apache 2.0) of the same emoji, and on all that Google draws; and why the data set openmoji has
the classes it has. Writes benchmarks/findings/emoji.json. Run with `npm pack @iconify-json/noto@1.2.9`, unpack it, and
`uv run --extra offline python scripts/compare_emoji.py UNPACKED`.
"""

import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from compare_bridges import IMAGE, SPLITS, TEXT, UNSEEN, fitted, top
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

import fewshot
from fewshot.backbones.bridge.halves import text_half
from fewshot.backbones.bridge.pairs import Pairs
from fewshot.datasets import Dataset, Images
from fewshot.datasets.collection import openmoji
from fewshot.datasets.decoding import to_rgb
from fewshot.files import write_json
from fewshot.fingerprint import fingerprint
from fewshot.metrics import accuracy_interval
from fewshot.provenance import provenance

FOUND = Path(__file__).parent.parent / "benchmarks" / "findings" / "emoji.json"
SIZE = 128
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "ridge": ("ridge", {}),
    "ridge, image-to-text": ("ridge", {"direction": "image-to-text"}),
    "kernel": ("kernel", {}),
}


class Noto(Images):
    """Google's emoji, drawn when asked for: `bodies` are the commands of SVGs of 128 by 128."""

    def __init__(self, bodies: list[str]) -> None:
        self.bodies = bodies

    def __len__(self) -> int:
        return len(self.bodies)

    def __getitem__(self, index: int) -> Image.Image:
        import resvg_py

        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128">{self.bodies[index]}</svg>'
        return to_rgb(Image.open(BytesIO(resvg_py.svg_to_bytes(svg_string=svg, width=SIZE, height=SIZE))))

    def digest(self, index: int) -> str:
        """A hash of the drawing commands and the size."""
        return f"{fingerprint(self.bodies[index])}-{SIZE}"

    def describe(self) -> dict[str, Any]:
        """Kind, number and size (height, width)."""
        return {"source": "noto", "images": len(self), "size": [SIZE, SIZE]}


def google(folder: Path, names: dict[str, str]) -> tuple[list[str], Dataset]:
    """The codes of the emoji that Google draws, and their pictures: a class each."""
    icons = json.loads((folder / "icons.json").read_text())["icons"]
    known = {key.upper(): icon for key, icon in json.loads((folder / "chars.json").read_text()).items()}
    drawn = {code: known[plain] for code in names if (plain := code.replace("-FE0F", "")) in known}
    bodies = [icons[icon]["body"] for icon in drawn.values()]
    told = tuple(names[code] for code in drawn)
    return list(drawn), Dataset("noto", Noto(bodies), torch.arange(len(drawn)), told, tuple(drawn))


def left_out(names: dict[str, str], kept: set[str]) -> dict[str, int]:
    """How many named emoji, without flags and skin tones, the data set openmoji leaves out, and why."""
    counts = dict.fromkeys(("without colour", "picture or lines of an earlier one", "equal in pixels"), 0)
    seen: set[str] = set()
    for code in names:
        drawings = {openmoji._digest(code, domain) for domain in ("color", "line")}
        if len(drawings) == 1:
            counts["without colour"] += 1
        elif drawings & seen:
            counts["picture or lines of an earlier one"] += 1
        elif code not in kept:
            counts["equal in pixels"] += 1
        seen |= drawings
    return {"named": len(names), **counts, "kept": len(kept)}


def by_name(features: Tensor, text: Tensor) -> dict[str, Any]:
    """Unseen emoji among themselves in draws, top-1 and top-5 of each way; rows are emoji."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for seed in range(SPLITS):
        order = torch.randperm(len(text), generator=torch.Generator().manual_seed(seed))
        unseen, seen = order[:UNSEEN], order[UNSEEN:]
        pairs = Pairs(features[seen].double(), text[seen].double())
        for way, (how, settings) in WAYS.items():
            join = fitted(pairs, how, settings)
            found[way].append(top(join.image(features[unseen]), join.text(text[unseen])))
    ways = {}
    for way, splits in found.items():
        over = {each: accuracy_interval(torch.tensor([split[each] for split in splits])) for each in ("top1", "top5")}
        ways[way] = {each: {"mean": score.mean, "ci95": score.half_width} for each, score in over.items()}
        ways[way]["per_split"] = splits
    return {"seen": len(text) - UNSEEN, "unseen": UNSEEN, "ways": ways}


def main(folder: Path) -> None:
    names, _ = openmoji._named_codes()
    backbone = fewshot.create_backbone(IMAGE, precision="float32")
    ours = fewshot.load_dataset("openmoji").select(where={"domain": "color"})
    codes = {identity.partition("/")[2]: place for place, identity in enumerate(ours.ids)}
    drawn, theirs = google(folder, names)
    half = text_half(TEXT)
    encoded = normalize(half.encode(list(names.values())).cpu(), dim=1)
    text = dict(zip(names, encoded, strict=True))
    pictures = {"openmoji": fewshot.embed(backbone, ours).features, "google": fewshot.embed(backbone, theirs).features}
    place = {code: number for number, code in enumerate(drawn)}
    both = [code for code in codes if code in place]
    sets = {
        "OpenMoji's, all of the data set": ("openmoji", list(codes)),
        "OpenMoji's, those that Google draws too": ("openmoji", both),
        "Google's, the same": ("google", both),
        "Google's, all named ones": ("google", drawn),
    }
    found = {}
    for name, (source, used) in sets.items():
        rows = torch.tensor([(codes if source == "openmoji" else place)[code] for code in used])
        found[name] = by_name(pictures[source][rows], torch.stack([text[code] for code in used]))
        ridge = found[name]["ways"]["ridge, image-to-text"]
        print(f"{name}: {len(used)}, {100 * ridge['top1']['mean']:.1f} / {100 * ridge['top5']['mean']:.1f}", flush=True)
    content = {
        "work": f"{UNSEEN} unseen emoji by name, bridges fitted on the others, templates: name; mean of {SPLITS} draws",
        "image": {"name": IMAGE, "fingerprint": backbone.fingerprint, "precision": "float32"},
        "text": {"name": TEXT, "fingerprint": half.fingerprint},
        "google": "npm package @iconify-json/noto 1.2.9",
        "seeds": list(range(SPLITS)),
        "provenance": provenance(),
        "classes": left_out(names, set(codes)),
        "found": found,
    }
    write_json(FOUND, content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
