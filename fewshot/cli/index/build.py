"""`fewshot index build`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.index.options import embedding_arguments, embedding_options, parse_bytes, parse_recall
from fewshot.cli.output import json_option, print_facts, print_json, told_warnings

if TYPE_CHECKING:
    from fewshot.retrieval.build import Plan


@click.command()
@click.argument("source")
@click.argument("index", type=click.Path(path_type=Path))
@click.option("--recall", default="0.95@10", show_default=True, help="The recall to reach, at how many neighbours.")
@click.option("--index", "factory", default="auto", show_default=True, help="auto, or a FAISS factory string.")
@click.option("--memory", help="Memory that the index may take, such as 4GB; by default what is free.")
@click.option("--metric", default="cosine", show_default=True, help="cosine, inner-product or l2.")
@embedding_options
@click.option("--plan", "only_plan", is_flag=True, help="Print the plan and stop.")
@click.option("--yes", is_flag=True, help="Do not ask after the plan.")
@json_option
def build(
    source: str,
    index: Path,
    recall: str,
    factory: str,
    memory: str | None,
    metric: str,
    backbone: str | None,
    device: str,
    only_plan: bool,
    yes: bool,
    as_json: bool,
    **how: Any,
) -> None:
    """Build an INDEX (a new folder) of SOURCE.

    SOURCE is a folder or zip of pictures, tar shards, a parquet or CSV of paths (or of texts: --texts COLUMN), a data
    set by name, an embedding table, a .npy, or a folder as clip-retrieval writes it. The plan is printed first; memory
    and disk are checked. A build that was stopped goes on when the same command is given again.

    \b
    Example:
      fewshot index build photos photos.index --backbone timm:tf_efficientnet_lite0
      fewshot index build captions.csv captions.index --texts caption --backbone sentence:all-MiniLM-L6-v2
    """
    from fewshot.retrieval import build as life
    from fewshot.retrieval.build.encoder import make_backbone
    from fewshot.retrieval.sources import VectorSource, open_source
    from fewshot.retrieval.store.info import info

    share, k = parse_recall(recall)
    wish = life.Wish(share, k, factory, parse_bytes(memory), metric)
    arguments = embedding_arguments(**how)

    def confirm(plan: Plan) -> bool:
        if only_plan or not as_json:
            print_json(plan.to_json()) if as_json else _tell(plan)
        if only_plan:
            return False
        ask = not (yes or as_json) and sys.stdin.isatty()
        return click.confirm("build it?", default=True, err=True) if ask else True

    with told_warnings():
        opened = open_source(source, arguments.pop("texts"), arguments.pop("paths"))
        name = backbone or _default_backbone(opened.kind)
        made = None if isinstance(opened, VectorSource) else make_backbone(name, device)
        if life.build(opened, index, made, wish, confirm=confirm, **arguments) is None:
            return
    facts = info(index)
    print_json(facts) if as_json else print_facts(_short(facts))


def _default_backbone(kind: str) -> str:
    return "sentence:all-MiniLM-L6-v2" if kind == "texts" else "timm:tf_efficientnet_lite0"


def _tell(plan: Plan) -> None:
    from fewshot.retrieval.build.plan import size

    told = plan.to_json()
    facts = {
        "source": f"{plan.source}, {plan.backbone}" if plan.backbone else plan.source,
        "vectors": f"{plan.vectors:,} of {plan.dim} values, {size(told['vector_bytes'])}"
        + (f"; {plan.embedded:,} are embedded already" if plan.embedded and plan.backbone else ""),
        "index": f"{plan.choice.factory}: {plan.choice.why}",
        "recall": f"{plan.recall:g} of the {plan.k} nearest, proved on queries held out",
        "memory": f"about {size(plan.choice.memory_bytes)}, of {size(plan.memory_limit)}",
        "disk": f"about {size(plan.disk_bytes)}, of {size(plan.disk_free)} free",
        "time": f"about {_time(plan.embedding_seconds)} to embed and {_time(plan.choice.seconds)} to index",
    }
    print_facts(facts)


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _short(facts: dict[str, Any]) -> dict[str, Any]:
    recall = facts["measured"].get("recall")
    low_high = facts["measured"].get("ci95") or ("", "")
    said = "exact" if recall is None else f"{recall:.4f} ({low_high[0]:.4f} to {low_high[1]:.4f} with 95 %)"
    return {
        "built": facts["index"],
        "items": facts["items"],
        "index": facts["factory"],
        "search": facts["search"] or None,
        f"recall at {facts['measured'].get('k', 10)}": said,
        "milliseconds a query": facts["measured"].get("latency_ms"),
        "bytes": facts["bytes"],
    }
