"""Embed a source with many processes and publish it as an index, or add it to one.

    torchrun --standalone --nproc-per-node 4 scripts/embed_torchrun.py photos photos.index --backbone B
    torchrun --nnodes 8 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 scripts/embed_torchrun.py ...

Source and index lie on a file system that all machines share. Rank 0 scans the source and writes the ledger; then every
process claims shards of it and embeds them on its own device; at last rank 0 publishes. A process that dies is no loss:
its claim is freed and others embed its shard, and with `--max-restarts` torchrun starts it anew. Stopped as a whole,
the same command goes on where it was. Processes may also come and go: `--join` takes part in work that another process
leads, without torchrun (cluster arrays, spare machines).

For more than fits one memory give the source in parts, one command a part: the first builds the index, the others add
to it by its quantiser, and `--merge` with the last makes one segment of all, on disk.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from fewshot.cli.index.options import embedding_arguments, embedding_options, parse_bytes, parse_recall
from fewshot.cli.output import print_facts, told_warnings
from fewshot.errors import FewshotError

PATIENCE = timedelta(days=30)  # scanning a large source takes its time


@click.command()
@click.argument("source")
@click.argument("index", type=click.Path(path_type=Path))
@embedding_options
@click.option("--recall", default="0.95@10", show_default=True, help="The recall to reach, where the index is new.")
@click.option("--index-kind", "kind", default="auto", show_default=True, help="auto, or a FAISS factory string.")
@click.option("--memory", help="Memory that the index may take, such as 4GB.")
@click.option("--shard-rows", type=click.IntRange(1), default=2048, show_default=True, help="Items of one claim.")
@click.option(
    "--lease", type=click.FloatRange(1), default=60.0, show_default=True, help="Seconds a silent claim lasts."
)
@click.option("--join", is_flag=True, help="Take part in work that another process leads, until none is left.")
@click.option("--merge", is_flag=True, help="At last make one segment of all, on disk.")
def main(source: str, index: Path, **how: Any) -> None:
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    try:
        with told_warnings():
            _run(source, index, rank, world, **how)
    except FewshotError as error:
        print(f"embed_torchrun: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _run(
    source: str,
    index: Path,
    rank: int,
    world: int,
    backbone: str | None,
    device: str,
    recall: str,
    kind: str,
    memory: str | None,
    shard_rows: int,
    lease: float,
    join: bool,
    merge: bool,
    **how: Any,
) -> None:
    from fewshot.retrieval import build as life
    from fewshot.retrieval import scale
    from fewshot.retrieval.build.encoder import encoder_for, make_backbone
    from fewshot.retrieval.scale.working import wait_for_work
    from fewshot.retrieval.sources import open_source

    arguments = embedding_arguments(**how)
    opened = open_source(source, arguments.pop("texts"), arguments.pop("paths"))
    made = make_backbone(backbone or "timm:tf_efficientnet_lite0", _device(device))
    share, k = parse_recall(recall)
    wish = life.Wish(share, k, kind, parse_bytes(memory))
    lead = None
    if join:
        wait_for_work(index, arguments["wait"])
    elif rank == 0:
        trouble = ""
        try:
            lead = scale.plan_shared(index, opened, made, wish, shard_rows, arguments["restart"], arguments["wait"])
        except FewshotError as error:
            trouble = str(error)
        _all_know(trouble, world)
    else:
        _all_know("", world)
    encoder = encoder_for(opened, made, arguments["batch_size"], arguments["workers"])
    shards, items = scale.embed_claimed(index, lead.source if lead else opened, encoder, lease, progress=rank == 0)
    print(f"process {rank} of {world}: {shards} shards, {items} items", file=sys.stderr, flush=True)
    if lead:
        arguments["restart"] = False
        scale.publish_shared(index, lead, made, wish, shard_rows=shard_rows, **arguments)
        if merge:
            scale.merge(index)
        from fewshot.retrieval.store.info import info

        told = info(index)
        print_facts({name: told[name] for name in ("index", "items", "factory", "segments", "bytes")})


def _all_know(trouble: str, world: int) -> None:
    """Wait until rank 0 has planned; what stopped it stops all. Needs torchrun's key-value store, and no more."""
    if world > 1:
        from torch.distributed.rendezvous import rendezvous

        store, rank, _ = next(rendezvous("env://", timeout=PATIENCE))
        if rank == 0:
            store.set("planned", trouble or "well")
        elif store.get("planned") != b"well":
            raise SystemExit(2)
    if trouble:
        from fewshot.errors import InvalidInput

        raise InvalidInput(trouble)


def _device(name: str) -> str:
    import torch

    if name == "auto" and torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        return f"cuda:{int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()}"
    return name


if __name__ == "__main__":
    main()
