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

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        matrices = sum(4 * index.chain.at(i).d_in * index.chain.at(i).d_out for i in range(index.chain.size()))
        return matrices + bytes_of(index.index, count)
    if isinstance(index, faiss.IndexRefine):
        return bytes_of(index.base_index, count) + bytes_of(index.refine_index, count)
    if isinstance(index, faiss.IndexHNSW):
        links = 4 * index.hnsw.cum_nneighbor_per_level.at(1)
        return count * (links + 12) + bytes_of(index.storage, count)
    if isinstance(index, faiss.IndexIVF):
        return count * (index.code_size + 8) + bytes_of(index.quantizer, index.nlist)
    return int(count * index.sa_code_size())


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
