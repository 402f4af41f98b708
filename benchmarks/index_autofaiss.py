"""autofaiss on the vectors of `benchmarks/index.py`, in an environment of its own: it needs numpy < 2 and an old FAISS.

    uv venv /tmp/autofaiss
    uv pip install --python /tmp/autofaiss/bin/python autofaiss==2.18.0 'numpy<2' 'pyarrow==19.*' faiss-cpu==1.13.2
    python benchmarks/index.py --autofaiss /tmp/autofaiss/bin/python

Reads vectors.npy, queries.npy and truth.npy (ids of the ten nearest) from a folder and prints JSON, in seconds of the
processor. It imports nothing of fewshot.
"""

import json
import os
import sys
from pathlib import Path
from time import process_time

os.environ["OMP_NUM_THREADS"] = "1"

import faiss
import numpy as np
from autofaiss import build_index


def main(folder: Path, memory: str) -> None:
    faiss.omp_set_num_threads(1)
    vectors, queries, truth = (np.load(folder / f"{name}.npy") for name in ("vectors", "queries", "truth"))
    start = process_time()
    index, told = build_index(
        vectors, save_on_disk=False, metric_type="ip", max_index_memory_usage=memory, nb_cores=1, verbose=40
    )
    built = process_time() - start
    index.search(queries[:10], 10)
    start = process_time()
    found = index.search(queries, 10)[1]
    taken = process_time() - start
    start = process_time()
    for query in queries[:50]:
        index.search(query[None], 10)
    alone = (process_time() - start) / 50
    recall = float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True)]) / 10)
    figures = {
        "index": told.get("index_key"),
        "settings": told.get("index_param"),
        "build_s": built,
        "bytes": told.get("size in bytes"),
        "recall": recall,
        "queries_a_second": len(queries) / taken,
        "one_query_ms": alone * 1000,
    }
    print(json.dumps(figures, default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
