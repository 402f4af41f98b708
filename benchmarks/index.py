"""The embedding index against FAISS by hand, hnswlib and usearch: build, memory, and speed at equal recall.

One process, one thread, the same clustered vectors. Every index is tuned on a thousand queries until a recall is sure
there, and its recall is then proved on a thousand others; only proved ones count. Seconds are the processor's, so
that other work on the machine does not count. Run it with

    python benchmarks/index.py [--count 200000] [--rounds 5]

and read benchmarks/results/index.json (or index_<count>.json for another count).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import faiss
import numpy as np
from index_peers import Built, hnswlib_index, raw_faiss, usearch_index
from index_vectors import clustered
from timing import in_turn, keep

from fewshot import Index
from fewshot.retrieval.engine import build_segment, choose, tune
from fewshot.retrieval.engine.recall import Truth, interval, surely
from fewshot.retrieval.engine.sampling import AT_LEAST, PER_LIST

K = 10
TARGETS = (0.90, 0.95, 0.99)
CAUTION = 1.64
AUTOFAISS_MEMORY = ("4GB", "30MB")
SWEPT = (
    "Flat",
    "IVF{n},PQ128x4fs,RFlat",
    "IVF{m},PQ128x4fs,RFlat",
    "IVF{n},RaBitQfs,RFlat",
    "IVF{n},Flat",
    "IVF{n},SQ8",
    "HNSW32",
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="leave out graphs, which take minutes to build")
    options.add_argument("--autofaiss", help="The Python of an environment with autofaiss; see index_autofaiss.py.")
    given = options.parse_args()
    faiss.omp_set_num_threads(1)
    vectors, queries = clustered(given.count, 2 * 1000)
    truth = Truth(blocks_of(vectors), queries, K, "cosine", np.empty(0, np.int64))
    with tempfile.TemporaryDirectory() as place:
        name = "index" if given.count == 200_000 else f"index_{given.count}"
        about = {"count": given.count, "dim": vectors.shape[1], "k": K, "threads": 1}
        for found in measure(vectors, truth, Path(place), given.rounds, given.quick):
            keep(name, {**about, **found})
        if given.autofaiss:
            found["autofaiss"] = autofaiss(given.autofaiss, vectors, truth.part(slice(1, None, 2)), Path(place))
            keep(name, {**about, **found})


def measure(vectors: np.ndarray, truth: Truth, place: Path, rounds: int, quick: bool) -> Iterator[dict[str, Any]]:
    """What is found: the builds and the first recall asked for, then also the next, for a run may take an hour."""
    choice = choose(len(vectors), vectors.shape[1], "cosine", None, 0.95, K, 1)
    work = {"build": build_race(vectors, choice.factory, place, rounds if quick else max(3, rounds - 2))}
    start = perf_counter()
    index = Index.build(vectors, place / "whole.index", progress=False)
    whole = perf_counter() - start
    ways, indexes = {}, {}
    for name, build in builders(vectors, choice.factory, quick).items():
        start = process_time()
        ways[name] = build()
        size = ways[name].bytes
        indexes[name] = {"build_s": process_time() - start, "bytes": size}
        print(f"{name}: {indexes[name]['build_s']:.1f} s, {size / 1e6:.0f} MB", flush=True)
    work |= overhead(index, ways[f"faiss {choice.factory}"], truth, rounds)
    at: dict[str, Any] = {}
    for target in TARGETS:
        at[f"{target:.2f}"], times = equal_recall(index, ways, vectors, truth, target, rounds)
        work |= times
        yield {
            "factory": choice.factory,
            "index_build_s": whole,
            "indexes": indexes,
            "recall": at,
            "measurements": work,
        }


def autofaiss(python: str, vectors: np.ndarray, truth: Truth, place: Path) -> dict[str, Any]:
    """What autofaiss makes by its defaults, with memory enough and with little, each in a process of its own."""
    for name, array in (("vectors", vectors), ("queries", truth.queries), ("truth", truth.accepted[:, :K])):
        np.save(place / f"{name}.npy", array)
    program = Path(__file__).with_name("index_autofaiss.py")
    found = {}
    for memory in AUTOFAISS_MEMORY:
        done = subprocess.run([python, program, place, memory], capture_output=True, text=True, check=True)
        found[memory] = json.loads(done.stdout.splitlines()[-1])
    return found


def builders(vectors: np.ndarray, chosen: str, quick: bool) -> dict[str, Callable[[], Built]]:
    lists = 2 ** round(np.log2(2.5 * len(vectors) ** 0.5))
    kinds = [kind.format(n=lists, m=lists // 2) for kind in SWEPT if not (quick and "HNSW" in kind)]
    trained = max(AT_LEAST, PER_LIST * lists)
    made: dict[str, Callable[[], Built]] = {
        f"faiss {kind}": partial(raw_faiss, kind, vectors, trained) for kind in dict.fromkeys([chosen, *kinds])
    }
    if not quick:
        made["hnswlib M16 efC100"] = partial(hnswlib_index, vectors, 16, 100)
        made["usearch f16 M16"] = partial(usearch_index, vectors, 16, "f16")
    return made


def build_race(vectors: np.ndarray, factory: str, place: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Writing one segment of vectors on disk: by hand with the same sample and blocks, and by the engine."""
    np.save(place / "vectors.npy", vectors)

    def blocks():
        yield from blocks_of(np.load(place / "vectors.npy", mmap_mode="r"))()

    def by_hand() -> None:
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        mapped = np.load(place / "vectors.npy", mmap_mode="r")
        if not index.is_trained:
            size = max(AT_LEAST, PER_LIST * faiss.extract_index_ivf(index).nlist)
            rows = np.random.default_rng(0).choice(len(mapped), min(size, len(mapped)), replace=False)
            index.train(mapped[np.sort(rows)])
        filled = faiss.IndexIDMap(index)
        for ids, block in blocks():
            filled.add_with_ids(block, ids)
        faiss.write_index(filled, str(place / "hand.faiss"))

    def by_engine() -> None:
        build_segment(factory, blocks, len(vectors), vectors.shape[1], "cosine", place / "engine.faiss")

    return {"build": processor_seconds({"faiss by hand": by_hand, "engine": by_engine}, rounds)}["build"]


def overhead(index: Index, raw: Built, truth: Truth, rounds: int) -> dict[str, Any]:
    """The same index with the same settings: FAISS by hand, the engine, and the whole face."""
    settings = index.manifest.settings["search"]
    queries = truth.queries[:1000]
    batch = {
        "faiss by hand": lambda: raw.search(queries, K, settings),
        "engine": lambda: index.searcher.search(queries, K),
        "Index.search": lambda: index.search(queries, K).ids,
    }
    alone = {
        "faiss by hand": lambda: [raw.search(query, K, settings) for query in np.split(queries[:200], 200)],
        "engine": lambda: [index.searcher.search(query, K) for query in queries[:200]],
        "Index.search": lambda: [index.search(query, K).ids for query in queries[:200]],
    }
    return {
        "1,000 queries together": processor_seconds(batch, 3 * rounds),
        "200 queries one by one": processor_seconds(alone, rounds),
    }


def equal_recall(
    index: Index, ways: dict[str, Built], vectors: np.ndarray, truth: Truth, target: float, rounds: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each index by the fastest of its settings that are sure of `target`; recall on the queries that did not pick."""
    picking, proving = truth.part(slice(0, None, 2)), truth.part(slice(1, None, 2))
    tuned = tune(index.searcher, blocks_of(vectors), truth.queries, target, K)
    searches = {"fewshot": lambda queries: index.searcher.search(queries, K, settings=tuned.settings)[1]}
    settings: dict[str, Any] = {"fewshot": dict(tuned.settings)}
    for name, way in ways.items():
        setting = fastest(way, picking, target)
        if setting is not None:
            settings[name] = setting
            searches[name] = partial(lambda way, setting, queries: way.search(queries, K, setting), way, setting)
    together = processor_seconds({name: partial(way, proving.queries) for name, way in searches.items()}, rounds)
    few = np.split(proving.queries[:100], 100)
    alone = processor_seconds({name: partial(one_by_one, way, few) for name, way in searches.items()}, 3)
    told = {}
    for name, way in searches.items():
        recalls = truth_recalls(proving, way)
        told[name] = {
            "settings": settings[name],
            "recall": float(recalls.mean()),
            "ci95": interval(recalls),
            "proved": bool(recalls.mean() >= target),
            "queries_a_second": len(proving.queries) / together[name]["median_s"],
            "one_query_ms": alone[name]["median_s"] * 1000 / len(few),
        }
    exact = "faiss Flat"
    best = max((name for name in told if told[name]["proved"] and name != "fewshot" and "faiss" in name),
               key=lambda name: told[name]["queries_a_second"])  # fmt: skip
    ours = told["fewshot"]["queries_a_second"]
    summary = {
        "best_of_sweep": best,
        "of_best": ours / told[best]["queries_a_second"],
        "of_exact": ours / told[exact]["queries_a_second"],
    }
    print(target, summary, {name: round(way["queries_a_second"]) for name, way in told.items()}, flush=True)
    label = f"recall {target:.2f} at {K}"
    return {**summary, "ways": told}, {f"{label}, together": together, f"{label}, one by one": alone}


def processor_seconds(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """As `side_by_side`, in seconds of the processor."""
    return in_turn({name: partial(seconds_of, way) for name, way in ways.items()}, rounds)


def seconds_of(way: Callable[[], Any]) -> float:
    start = process_time()
    way()
    return process_time() - start


def one_by_one(way: Callable[[np.ndarray], np.ndarray], queries: list[np.ndarray]) -> None:
    for query in queries:
        way(query)


def truth_recalls(truth: Truth, way: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return truth.recalls(way(truth.queries))


def fastest(way: Built, truth: Truth, target: float) -> Any:
    """The fastest setting that is sure of `target`, by the same rule as the index's own tuning; None where none is."""
    timed: list[tuple[float, Any]] = []
    for ladder in way.ladders:
        low, high = 0, len(ladder)
        while low < high:
            middle = (low + high) // 2
            start = process_time()
            recalls = truth.recalls(way.search(truth.queries, K, ladder[middle]))
            seconds = process_time() - start
            if surely(recalls, target, CAUTION):
                high = middle
            elif timed and seconds > 1.5 * timed[0][0]:
                break
            else:
                low = middle + 1
        else:
            if low < len(ladder):
                again = [seconds_of(partial(way.search, truth.queries, K, ladder[low])) for _ in range(3)]
                timed = sorted([*timed, (min(again), ladder[low])], key=lambda found: found[0])
    return timed[0][1] if timed else None


def blocks_of(vectors: np.ndarray, size: int = 8192):
    def blocks():
        for start in range(0, len(vectors), size):
            block = vectors[start : start + size]
            yield np.arange(start, start + len(block)), block

    return blocks


if __name__ == "__main__":
    main()
