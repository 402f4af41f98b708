"""What a FAISS index is made of: what is asked first, where the vectors lie, and whether ids can be left out."""

from typing import Any


def filterable(index: Any) -> bool:
    """Whether a search of `index` can leave ids out: deleted items could not be hidden otherwise."""
    import faiss

    if isinstance(index, faiss.IndexPreTransform):
        return filterable(faiss.downcast_index(index.index))
    if isinstance(index, faiss.IndexRefine):
        return filterable(faiss.downcast_index(index.base_index)) and filterable(
            faiss.downcast_index(index.refine_index)
        )
    return isinstance(
        index, faiss.IndexFlat | faiss.IndexScalarQuantizer | faiss.IndexRaBitQ | faiss.IndexHNSW | faiss.IndexIVF
    )


def base_of(index: Any) -> Any:
    """What is asked first, under all refinements and transforms: lists, a graph, or the vectors themselves."""
    import faiss

    while isinstance(index, faiss.IndexPreTransform | faiss.IndexRefine):
        inner = index.index if isinstance(index, faiss.IndexPreTransform) else index.base_index
        index = faiss.downcast_index(inner)
    return index


def store_of(index: Any) -> Any:
    """The part of `index` that holds each vector by its position, to be scanned row by row; None where none does."""
    import faiss

    if isinstance(index, faiss.IndexRefine):
        return faiss.downcast_index(index.refine_index)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.downcast_index(index.storage)
    return index if isinstance(index, faiss.IndexFlat | faiss.IndexScalarQuantizer) else None


def refines(index: Any) -> bool:
    """Whether the candidates of a first stage are scored anew, so that `k_factor` matters."""
    import faiss

    if isinstance(index, faiss.IndexPreTransform):
        return refines(faiss.downcast_index(index.index))
    return isinstance(index, faiss.IndexRefine)


def in_lists(index: Any) -> bool:
    """Whether rows lie in inverted lists: IVF alone, behind a transform, or with whole vectors beside it (RFlat)."""
    import faiss

    if isinstance(index, faiss.IndexRefine):
        alone = isinstance(faiss.downcast_index(index.base_index), faiss.IndexIVF)
        return alone and isinstance(index, faiss.IndexRefineFlat)
    return isinstance(index, faiss.IndexIVF | faiss.IndexPreTransform) and isinstance(base_of(index), faiss.IndexIVF)
