"""What a FAISS index will take for so many vectors: bytes and time, told before it is built."""

from typing import Any

# seconds for a core, as measured at 256 dimensions: multiply-adds of a matrix product, of a graph's walk, of codes
PRODUCT = 1.2e-11
WALK = 1.5e-10
CODE = 3e-9
ROUNDS = 10  # of k-means over the lists


def bytes_of(index: Any, count: int) -> int:
    """The bytes that the untrained, empty `index` will take with `count` vectors, without their ids outside."""
    import faiss

    kind = faiss.downcast_index(index)  # beside `index`, which owns what both point to
    if isinstance(kind, faiss.IndexPreTransform):
        matrices = sum(4 * kind.chain.at(i).d_in * kind.chain.at(i).d_out for i in range(kind.chain.size()))
        return matrices + bytes_of(kind.index, count)
    if isinstance(kind, faiss.IndexRefine):
        return bytes_of(kind.base_index, count) + bytes_of(kind.refine_index, count)
    if isinstance(kind, faiss.IndexHNSW):
        links = 4 * kind.hnsw.cum_nneighbor_per_level.at(1)
        return count * (links + 12) + bytes_of(kind.storage, count)
    if isinstance(kind, faiss.IndexIVF):
        return count * (kind.code_size + 8) + bytes_of(kind.quantizer, kind.nlist)
    return int(count * kind.sa_code_size())


def seconds_of(index: Any, count: int, dim: int, threads: int) -> float:
    """About how long training on a sample and adding `count` vectors take with `threads` threads."""
    import faiss

    from fewshot.retrieval.engine.anatomy import base_of
    from fewshot.retrieval.engine.sampling import sample_size

    base = base_of(faiss.downcast_index(index))
    work = count * dim * CODE
    if isinstance(base, faiss.IndexHNSW):
        work = count * dim * base.hnsw.efConstruction * base.hnsw.nb_neighbors(0) * WALK
    if isinstance(base, faiss.IndexIVF):
        work += (ROUNDS * sample_size(base, count) + count) * base.nlist * dim * PRODUCT
    return work / max(threads, 1) + 0.05
