"""Measure what an index costs on this machine, and work out from it what a billion images would take.

    python scripts/plan_billion.py            measures (a minute of CPU), keeps it, and renews docs/billion.md
    python scripts/plan_billion.py --page     renews docs/billion.md from what was kept

Rates are items or bytes for each second of CPU time on one core, so that a busy machine does not spoil them.
"""

from __future__ import annotations

import io
import json
import math
import sys
import tempfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from time import process_time

import numpy as np

PLACE = Path(__file__).parent.parent
FINDINGS, PAGE = PLACE / "benchmarks" / "findings" / "billion.json", PLACE / "docs" / "billion.md"
DIM, COUNT, PART = 512, 10**9, 10**7
KINDS = ("IVF262144_HNSW32,SQ8", "IVF262144_HNSW32,RaBitQ4", "IVF262144_HNSW32,PQ64")
LISTS, SAMPLE, ROUNDS = 262_144, 64, 10
GPUS_PER_SECOND, GPU_SOURCE = 7000 / 8, "published: clip-retrieval, CLIP ViT-B/32, 7,000 a second on 8 A100"
VISITED = 64
CAUTION = (
    "The time to add grows with the logarithm of the number of lists, as between the two that were measured. What "
    "recall so many lists and codes give on a billion of your images is not told by this: the build of the first part "
    "measures it."
)


def measure() -> dict[str, float]:
    of_pictures = _pictures()
    import faiss  # after torch: each brings its OpenMP

    faiss.omp_set_num_threads(1)
    draw = np.random.default_rng(0)
    return {**of_pictures, **_lists(faiss, draw), **_disk(faiss, draw)}


def _pictures() -> dict[str, float]:
    import torch
    from PIL import Image

    from fewshot import create_backbone

    torch.set_num_threads(1)
    backbone = create_backbone("timm:tf_efficientnet_lite0", device="cpu")
    waves = np.sin(np.linspace(0, 20, 640))[None, :, None] * np.cos(np.linspace(0, 15, 480))[:, None, None]
    grain = np.random.default_rng(0).normal(0, 6, (480, 640, 3))
    encoded = io.BytesIO()
    Image.fromarray((127 + 100 * waves + grain).clip(0, 255).astype(np.uint8)).save(encoded, "jpeg", quality=85)
    content = encoded.getvalue()
    batch = backbone.preprocess(Image.open(io.BytesIO(content)).convert("RGB"))[None].repeat(8, 1, 1, 1)
    backbone(batch)
    return {
        "image_bytes": len(content),
        "hash_bytes_per_second": len(content) * _rate(lambda: blake2b(content, digest_size=16), 200),
        "decoded_per_second": _rate(lambda: backbone.preprocess(Image.open(io.BytesIO(content)).convert("RGB")), 20),
        "embedded_per_second": 8 * _rate(lambda: backbone(batch), 3),
    }


def _lists(faiss: object, draw: np.random.Generator) -> dict[str, float]:
    rows = draw.normal(size=(2000, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found: dict[str, float] = {}
    for lists in (1024, 4096):
        quantiser = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
        centres = draw.normal(size=(lists, DIM)).astype(np.float32)
        quantiser.add(centres / np.linalg.norm(centres, axis=1, keepdims=True))
        index = faiss.IndexIVFScalarQuantizer(
            quantiser, DIM, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        index.train(rows)
        found[f"added_per_second_{lists}"] = 2000 * _rate(lambda index=index: index.add(rows), 1)
    flat = faiss.index_factory(DIM, "SQ8", faiss.METRIC_INNER_PRODUCT)
    flat.train(rows)
    flat.add(np.tile(rows, (20, 1)))
    found["codes_visited_per_second"] = flat.ntotal * _rate(lambda: flat.search(rows[:1], 10), 3)
    exact = faiss.IndexFlatIP(DIM)
    exact.add(rows)
    found["products_per_second"] = len(rows) ** 2 * DIM * _rate(lambda: exact.search(rows, 1), 2)
    return found


def _disk(faiss: object, draw: np.random.Generator) -> dict[str, float]:
    from fewshot.retrieval.scale.joining import join_files

    with tempfile.TemporaryDirectory() as folder:
        rows = draw.normal(size=(10_000, DIM)).astype(np.float32)
        index = faiss.index_factory(DIM, "IVF64,SQ8", faiss.METRIC_INNER_PRODUCT)
        index.train(rows[:3000])
        filled = faiss.IndexIDMap(index)
        filled.add_with_ids(rows, np.arange(len(rows)))
        paths = [Path(folder) / f"{number}.faiss" for number in range(3)]
        for path in paths:
            faiss.write_index(filled, str(path))
        out = Path(folder) / "out"
        rate = _rate(lambda: join_files(paths, out), 1)
        return {"joined_bytes_per_second": out.stat().st_size * rate}


def _rate(work: Callable[[], object], times: int) -> float:
    start = process_time()
    for _ in range(times):
        work()
    return times / max(process_time() - start, 1e-9)


def plan(measured: dict[str, float], count: int = COUNT) -> dict[str, float]:
    """Bytes and core or GPU seconds for `count` images, from the rates."""
    from fewshot.retrieval.engine.factories import make_index
    from fewshot.retrieval.engine.footprint import bytes_of

    slow, fast = measured["added_per_second_4096"], measured["added_per_second_1024"]
    per_doubling = (1 / slow - 1 / fast) / 2
    told = {
        "hash": count * measured["image_bytes"] / measured["hash_bytes_per_second"],
        "decode": count / measured["decoded_per_second"],
        "embed": count / measured["embedded_per_second"],
        "embed_gpu": count / GPUS_PER_SECOND,
        "train": ROUNDS * LISTS * SAMPLE * LISTS * DIM / measured["products_per_second"],
        "add": count * (1 / slow + max(per_doubling, 0) * math.log2(LISTS / 4096)),
        "query": VISITED * count / LISTS / measured["codes_visited_per_second"],
        "images_bytes": count * measured["image_bytes"],
        "vectors_bytes": count * DIM * 4,
        "sidecar_bytes": count * 200,
        "ids_bytes": count * 8,
    }
    for kind in KINDS:
        index = make_index(kind, DIM, "cosine")
        told[f"{kind}_bytes"] = bytes_of(index, count) + 8 * count
        told[f"{kind}_part_bytes"] = bytes_of(index, PART) + 8 * PART
        told["trained_bytes"] = bytes_of(index, 0)
    told["join"] = told[f"{KINDS[0]}_bytes"] / measured["joined_bytes_per_second"]
    return told


def page(content: dict) -> str:
    measured, told = content["measured"], plan(content["measured"])
    rates = [
        ("hashing images", f"{measured['hash_bytes_per_second'] / 1e6:,.0f} MB/s"),
        ("decoding and resizing a 640 × 480 JPEG", f"{measured['decoded_per_second']:,.0f} images/s"),
        ("embedding by EfficientNet-Lite0 in float32", f"{measured['embedded_per_second']:,.1f} images/s"),
        ("adding to 1,024 lists found by a graph, a byte a number", f"{measured['added_per_second_1024']:,.0f} rows/s"),
        ("adding to 4,096 lists", f"{measured['added_per_second_4096']:,.0f} rows/s"),
        ("comparing a query with codes of a byte a number", f"{measured['codes_visited_per_second'] / 1e6:,.2f} M/s"),
        ("multiply-adds of an exact assignment", f"{measured['products_per_second'] / 1e9:,.1f} G/s"),
        ("joining segments, in the page cache", f"{measured['joined_bytes_per_second'] / 1e6:,.0f} MB/s"),
    ]
    steps = [
        ("hash", "core", told["hash"], "64 cores", 64),
        ("decode", "core", told["decode"], "512 cores", 512),
        ("embed on CPUs (Lite0)", "core", told["embed"], "512 cores", 512),
        ("embed on GPUs (ViT-B/32)", "GPU", told["embed_gpu"], "64 GPUs", 64),
        ("train 262,144 lists on 64 rows each", "core", told["train"], "64 cores", 64),
        ("add, part by part", "core", told["add"], "64 cores", 64),
        ("merge on disk", "core", told["join"], "1 core", 1),
    ]
    lines = [f"Measured ({content['provenance']['hardware']}; one core, CPU time; {DIM} values a vector):", ""]
    lines += ["| work | rate of one core |", "|---|---:|", *(f"| {name} | {rate} |" for name, rate in rates), ""]
    lines += ["Extrapolated to 1,000,000,000 images, at these rates:", ""]
    lines += ["| step | in all | with | takes |", "|---|---:|---|---:|"]
    for name, unit, seconds, machines, many in steps:
        lines.append(f"| {name} | {seconds / 3600:,.1f} {unit} hours | {machines} | {_time(seconds / many)} |")
    lines += ["", "| what | bytes | where |", "|---|---:|---|"]
    lines += [f"| images, at {measured['image_bytes'] / 1e3:.0f} kB | {_size(told['images_bytes'])} | the source |"]
    lines += [f"| vectors in float32 (twice while the ledger is kept) | {_size(told['vectors_bytes'])} | disk |"]
    lines += [f"| sidecar, at 200 bytes | {_size(told['sidecar_bytes'])} | disk |"]
    for kind in KINDS:
        lines += [f"| `{kind}`, whole | {_size(told[f'{kind}_bytes'])} | disk, memory-mapped |"]
        lines += [f"| `{kind}`, a part of {PART:,} | {_size(told[f'{kind}_part_bytes'])} | memory, while it is added |"]
    lines += [f"| trained parts | {_size(told['trained_bytes'])} | memory |"]
    lines += [f"| ids | {_size(told['ids_bytes'])} | memory, at least, of the merge and of every reader |"]
    visited = VISITED * COUNT // LISTS
    lines += ["", f"A query that visits {VISITED} of the lists compares {visited:,} codes: "
              f"{1000 * told['query']:,.0f} ms of one core, without the time of the disk."]  # fmt: skip
    lines += ["", f"The rate of GPUs is not measured here ({GPU_SOURCE}). {CAUTION}"]
    return "\n".join(lines)


def _time(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"


def _size(count: float) -> str:
    return f"{count / 1e12:,.2f} TB" if count >= 1e12 else f"{count / 1e9:,.1f} GB"


def main() -> None:
    from fewshot.benchmark.report import replace_block
    from fewshot.files import write_json
    from fewshot.provenance import provenance

    if "--page" not in sys.argv:
        write_json(FINDINGS, {"work": "rates of one core, for docs/billion.md", "measured": measure(),
                              "provenance": provenance("cpu")})  # fmt: skip
    replace_block(PAGE, page(json.loads(FINDINGS.read_text())), "billion")


if __name__ == "__main__":
    main()
