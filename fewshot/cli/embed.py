"""`fewshot embed`: images to an embedding table."""

from pathlib import Path
from typing import Literal

import click

from fewshot.cli.arguments import device_option, load_images, parse_layers, skip_broken_option
from fewshot.cli.output import json_option, print_facts, print_json, told_warnings


@click.command()
@click.argument("images")
@click.option(
    "--backbone", "backbone_name", default="timm:tf_efficientnet_lite0", show_default=True, help="The network."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write the table to.")
@click.option("--split", default="all", show_default=True, help="The split of a data set.")
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True, help="Images at a time.")
@click.option("--workers", type=click.IntRange(0), help="Processes that decode; by default one a core.")
@device_option
@click.option("--precision", default="auto", show_default=True, help="float32, bfloat16, float16 or auto.")
@click.option("--layers", help="Layers to take instead of the last, by name or index, with commas between.")
@skip_broken_option
@json_option
def embed(
    images: str,
    backbone_name: str,
    out: Path,
    split: str,
    batch_size: int,
    workers: int | None,
    device: str,
    precision: str,
    layers: str | None,
    skip_broken: bool,
    as_json: bool,
) -> None:
    """Embed IMAGES (a folder or zip with one subfolder a class, or a data set by name) and write a table to OUT.

    The table is a folder of safetensors, parquet and JSON; fewshot.EmbeddingTable.load opens it. A stopped run goes on
    when the same command is given again.

    \b
    Example:
      fewshot embed my/photos --out photos.table
      fewshot embed digits --backbone timm:resnet18 --out digits.table
    """
    from fewshot.backbones import create_backbone
    from fewshot.embeddings import embed as extract

    with told_warnings():
        dataset = load_images(images, split, skip_broken=skip_broken)
        backbone = create_backbone(backbone_name, device=device, precision=precision, layers=parse_layers(layers))
        count: int | Literal["auto"] = "auto" if workers is None else workers
        table = extract(backbone, dataset, batch_size=batch_size, workers=count, skip_broken=skip_broken)
        table.save(out)
    facts = {
        "table": str(out),
        "items": len(table),
        "dim": table.dim,
        "classes": len(table.class_names),
        "backbone": backbone.name,
        "fingerprint": table.fingerprint,
    }
    print_json(facts) if as_json else print_facts(facts)
