"""Memory and time of ImageNet's thousand names in CLIP's eighty templates, beside those of a tenth of the names.

    uv run --extra offline python scripts/weigh_prompts.py

The peak of the process (resident set) is read before, after a hundred and after a thousand names; kept in
benchmarks/findings/many_prompts.json.
"""

from __future__ import annotations

import resource
from pathlib import Path
from time import perf_counter

import click

from fewshot.backbones import create_text_encoder
from fewshot.datasets.collection.imagenet import imagenet_names
from fewshot.files import write_json
from fewshot.provenance import provenance
from fewshot.zeroshot.text_classifier import build_words

KEPT = Path(__file__).parent.parent / "benchmarks" / "findings" / "many_prompts.json"


@click.command()
@click.option("--encoder", default="sentence:all-MiniLM-L6-v2", show_default=True)
@click.option("--templates", default="imagenet", show_default=True)
def main(encoder: str, templates: str) -> None:
    """Embed the prompts of few and of many names, and keep what it took."""
    tower, names = create_text_encoder(encoder, precision="float32"), list(imagenet_names().values())
    build_words(tower, names[:2], templates, cache=False, progress=False)  # libraries load what they need
    found = [{"classes": 2, "peak_mb": peak()}]
    for count in (100, 1000):
        start = perf_counter()
        words = build_words(tower, names[:count], templates, cache=False)
        found.append({"classes": count, "peak_mb": peak(), "seconds": round(perf_counter() - start, 1)})
        click.echo(f"{words.ways} classes: {found[-1]}")
    made = {"encoder": encoder, "templates": templates, "found": found, "provenance": provenance(tower.device)}
    write_json(KEPT, made)


def peak() -> int:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
