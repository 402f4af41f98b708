"""scikit-adaptation's adapters: how both domains are handed to them, what of importing it is undone, and warnings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewshot.errors import FewshotWarning, MissingPackage

_GAVE_UP = re.compile("did not converge|numerical errors|numItermax reached", re.IGNORECASE)


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


@contextmanager
def solver_warned(instead: str) -> Iterator[None]:
    """Where a solver of POT gives up within the block, one `FewshotWarning` says `instead` of all that POT warns of.

    Every other warning is given as it came.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    import ot

    of_pot = [each for each in heard if Path(each.filename).is_relative_to(Path(ot.__file__).parent)]
    gave_up = any(_GAVE_UP.search(str(each.message)) for each in of_pot)
    for each in heard:
        if not (gave_up and each in of_pot):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if gave_up:
        warnings.warn(instead, FewshotWarning, stacklevel=4)


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
