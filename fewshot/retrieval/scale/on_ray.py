"""Embedding by Ray Data: tasks decode on any core, actors embed on their own device, and the ledger keeps the account.

The items of the unfinished shards go through Ray in chunks. What comes back is put together here, in the process that
leads, and noted in the ledger shard by shard: Ray may lose and repeat what it likes, and this process may be killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput, MissingPackage
from fewshot.progress import progress_bar
from fewshot.retrieval.build.ledger import Ledger, Planned
from fewshot.retrieval.sources import PictureSource, Source

Make = Callable[[], Any]


def embed_on_ray(
    folder: Path,
    source: Source,
    make: Make,
    actors: int = 1,
    gpus: float = 0.0,
    batch_size: int = 64,
    progress: bool = True,
) -> int:
    """Embed the unfinished shards of the work under way in the index `folder`; gives the number of items.

    `make()` gives the backbone or text encoder; each of the `actors` calls it once and has `gpus` GPUs. It is called
    here too, for the preprocessing. Ray must be started, or is started here on this machine alone. Plan with
    `plan_shared` before, and `publish_shared` after.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise MissingPackage("ray", "embedding on Ray", "ray") from None
    ledger = Ledger.open(folder)
    if ledger is None or not (names := ledger.unfinished()):
        return 0
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    told = ray.put(source)
    by_name = {name: ledger.planned(name) for name in names}
    chunks = [
        {"shard": name, "start": at, "rows": list(planned.rows[at : at + batch_size])}
        for name, planned in by_name.items()
        for at in range(0, len(planned.rows), batch_size)
    ]
    data: Any = ray.data.from_items(chunks, override_num_blocks=min(len(chunks), 4096))
    data = data.map(_Decoding(told, getattr(make(), "preprocess", None)), num_cpus=1)
    compute: Any = ray.data.ActorPoolStrategy(size=actors)
    # other resources than decoding has, or Ray would fuse both and decode in the actors
    share = 0 if gpus else 0.5
    data = data.map(
        _Embedding, fn_constructor_args=(make,), compute=compute, num_cpus=share, **({"num_gpus": gpus} if gpus else {})
    )
    with progress_bar(f"Ray · {source.name}", sum(len(each.rows) for each in by_name.values()), show=progress) as bar:
        return sum(_finish(ledger, by_name, data.iter_rows(), bar))


def _finish(ledger: Ledger, planned: dict[str, Planned], rows: Any, advance: Any) -> Iterator[int]:
    """Put chunks together, and note each shard that is complete."""
    waiting: dict[str, dict[int, tuple[np.ndarray, list[int]]]] = {name: {} for name in planned}
    for row in rows:
        name, mine = row["shard"], waiting[row["shard"]]
        vectors = np.asarray(row["vectors"], np.float32).reshape(-1, ledger.dim)
        mine[int(row["start"])] = vectors, [int(row["start"]) + int(place) for place in row["broken"]]
        if sum(len(found) + len(lost) for found, lost in mine.values()) < len(planned[name].rows):
            continue
        parts = [mine[start] for start in sorted(mine)]
        broken = [place for _, lost in parts for place in lost]
        ledger.finish(planned[name], np.concatenate([found for found, _ in parts]), broken)
        del waiting[name]
        advance(len(planned[name].rows))
        yield len(planned[name].rows)
    if waiting:
        raise InvalidInput(f"Ray gave nothing for {len(waiting)} shards; look into its logs and give the command again")


class _Decoding:
    """Chunks with their pictures decoded and preprocessed, on the CPU; texts go through as they are."""

    def __init__(self, source: Any, preprocess: Any) -> None:
        self.source, self.preprocess = source, preprocess

    def __call__(self, chunk: dict[str, Any]) -> dict[str, Any]:
        import ray

        source, rows = ray.get(self.source), [int(row) for row in chunk["rows"]]
        if not isinstance(source, PictureSource):
            texts = [source.texts[row] for row in rows]
            return {"shard": chunk["shard"], "start": chunk["start"], "texts": texts, "broken": []}
        from fewshot.datasets.images import SelectedImages
        from fewshot.embeddings.decoding import decoded_batches

        batch = next(decoded_batches(SelectedImages(source.images, rows), self.preprocess, len(rows), 0))
        return {"shard": chunk["shard"], "start": chunk["start"], "images": batch.images.numpy(),
                "broken": list(batch.broken)}  # fmt: skip


class _Embedding:
    """An actor with a backbone of its own."""

    def __init__(self, make: Make) -> None:
        self.made = make()

    def __call__(self, chunk: dict[str, Any]) -> dict[str, Any]:
        import torch

        if "texts" in chunk:
            encoder = self.made if not hasattr(self.made, "preprocess") else self.made.text
            found = encoder(list(chunk["texts"]), batch_size=len(chunk["texts"]))
        elif len(images := np.array(chunk["images"])):
            found = self.made(torch.from_numpy(images))
        else:
            found = torch.empty(0, self.made.dim)
        vectors = found.cpu().numpy().reshape(-1)
        return {"shard": chunk["shard"], "start": chunk["start"], "vectors": vectors, "broken": chunk["broken"]}
