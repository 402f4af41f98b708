"""From a factory string to an empty FAISS index that an index of ours can be made of."""

from typing import Any

from fewshot.errors import InvalidInput
from fewshot.retrieval.engine.anatomy import base_of, filterable
from fewshot.retrieval.engine.metrics import faiss_metric


def make_index(factory: str, dim: int, metric: str) -> Any:
    """The untrained, empty FAISS index of `factory`.

    Raises `InvalidInput` in one line where FAISS knows no such index, where it can't leave ids out of a search (what
    is deleted would come back), and where the string numbers the rows itself.
    """
    import faiss

    try:
        index = faiss.index_factory(dim, factory, faiss_metric(metric))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].split(" failed: ")[-1].split("Error: ")[-1]
        raise InvalidInput(
            f"FAISS can't make an index {factory!r} of dimension {dim} with {metric}: {reason}"
        ) from None
    inner = faiss.downcast_index(index)
    if isinstance(base := base_of(inner), faiss.IndexIVF) and not 1 <= base.nlist < 2**24:
        raise InvalidInput(f"{factory!r} has {base.nlist} lists; an IVF index needs between 1 and 16 million")
    if isinstance(inner, faiss.IndexIDMap):
        raise InvalidInput(f"{factory!r} numbers its rows; leave IDMap out, ids are kept by the index itself")
    if not filterable(inner):
        raise InvalidInput(
            f"FAISS can't leave ids out of a search of {factory!r} ({type(inner).__name__}), so deleted items would be "
            "found; Flat, SQ, HNSW and all IVF kinds can, with or without refinement"
        )
    return index
