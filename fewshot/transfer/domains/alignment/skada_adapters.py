"""scikit-adaptation's adapters: how both domains are handed to them, and what of importing it is undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewshot.errors import MissingPackage


@contextmanager
def skada_module(wanted_by: str) -> Iterator[Any]:
    """The package, with the setting of scikit-learn that it needs within the block and nowhere else.

    Importing skada switches metadata routing on for the whole process, which changes what other estimators accept.
    """
    import sklearn

    with sklearn.config_context():
        try:
            import skada
        except ImportError:
            raise MissingPackage("skada", wanted_by, extra="transfer") from None
        sklearn.set_config(enable_metadata_routing=True)
        yield skada


def transformed(adapter: Any, source: Tensor, labels: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both domains as `adapter`, fitted on them, maps them; the labels of the target are hidden from it."""
    items, hidden, domain = pooled(source, labels, target)
    moved = torch.from_numpy(np.ascontiguousarray(adapter.fit_transform(items, hidden, sample_domain=domain)))
    return moved[: len(source)], moved[len(source) :]


def pooled(source: Tensor, labels: Tensor, target: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items, labels (-1 for the target) and domains (1 source, -2 target) as skada takes them."""
    items = torch.cat([source, target]).double().numpy()
    hidden = torch.cat([labels, torch.full((len(target),), -1)]).numpy()
    return items, hidden, np.repeat([1, -2], [len(source), len(target)])
