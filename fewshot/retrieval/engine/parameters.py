"""Search parameters for any FAISS index, nested as the index is: transform around refinement around lists or graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fewshot.errors import InvalidInput

DEFAULTS = {"nprobe": 16, "efSearch": 64, "k_factor": 8.0}
NAMES = (*DEFAULTS, "exact")
THOROUGH = {"nprobe": 2**31 - 1, "efSearch": 4096, "k_factor": 64.0}


def search_parameters(index: Any, selector: Any, settings: Mapping[str, float]) -> Any:
    """FAISS's parameters for one search of `index`: who may be found, and how hard to look.

    `settings` may hold nprobe (lists visited), efSearch (candidates held in a graph) and k_factor (candidates refined,
    per hit); what an index has no use for is left aside. `selector` is a FAISS id selector or None for everything.
    """
    import faiss

    if isinstance(index, faiss.IndexPreTransform):
        inner = faiss.downcast_index(index.index)
        return faiss.SearchParametersPreTransform(index_params=search_parameters(inner, selector, settings))
    if isinstance(index, faiss.IndexRefine):
        base = search_parameters(faiss.downcast_index(index.base_index), selector, settings)
        return faiss.IndexRefineSearchParameters(k_factor=float(_setting("k_factor", settings)), base_index_params=base)
    chosen = {} if selector is None else {"sel": selector}
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(efSearch=int(_setting("efSearch", settings)), **chosen)
    if isinstance(index, faiss.IndexIVF):
        nprobe = min(int(_setting("nprobe", settings)), index.nlist)
        if isinstance(faiss.downcast_index(index.quantizer), faiss.IndexHNSW):
            chosen["quantizer_params"] = faiss.SearchParametersHNSW(efSearch=max(2 * nprobe, 16))
        return faiss.SearchParametersIVF(nprobe=nprobe, **chosen)
    return faiss.SearchParameters(**chosen)


def widened(settings: Mapping[str, float], share: float) -> Mapping[str, float]:
    """Settings that keep their recall when only a `share` of the rows may be found.

    The nearest of these lie farther off, in lists that are visited later (as the square root of one over the share),
    and a graph must hold one over the share as many candidates to have as many that count.
    """
    if share >= 1:
        return settings
    return {
        **settings,
        "nprobe": round(_setting("nprobe", settings) * share**-0.5),
        "efSearch": min(round(_setting("efSearch", settings) / share), int(THOROUGH["efSearch"])),
    }


def checked_settings(settings: Mapping[str, float]) -> dict[str, float]:
    """`settings` again; raises `InvalidInput` for an unknown name or a value that is no positive number."""
    for name, value in settings.items():
        if name not in NAMES or not 0 < value < np.inf:
            raise InvalidInput(f"settings are {', '.join(NAMES)}, each above 0, found {name}={value}")
    return dict(settings)


def _setting(name: str, settings: Mapping[str, float]) -> float:
    return settings.get(name, DEFAULTS[name])
