"""Data of two domains as tables of features: Office-Caltech10, MNIST and USPS, as the published tables take them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fewshot.datasets.grouping import Grouping
from fewshot.datasets.local_files import required_file
from fewshot.embeddings import EmbeddingTable
from fewshot.errors import UnreadableFile
from fewshot.fingerprint import fingerprint

OFFICE = "office_caltech10_surf/office_caltech10_surf.npz"
DIGITS = "digits_mnist_usps/digits_mnist_usps_16.npz"


def office_caltech10(scaled: bool = True) -> EmbeddingTable:
    """SURF histograms (2533, 800) of Office-Caltech10 (Gong et al. 2012), 10 classes; group "domain".

    Frequencies, z-scored within each domain where `scaled`, as in the published tables; this hides part of the shift.
    Raises `MissingData`.
    """
    domains = ("amazon", "caltech", "dslr", "webcam")
    stored = _read("office-caltech10", OFFICE)
    items = [_frequencies(stored[f"{domain}_x"]) for domain in domains]
    items = [z_scored(part) for part in items] if scaled else items
    names = tuple(str(name) for name in stored["class_names"])
    return _table("office-caltech10", domains, items, [stored[f"{domain}_y"] for domain in domains], names)


def mnist_usps_pixels() -> EmbeddingTable:
    """Digits (3800, 256) of MNIST and USPS (Long et al. 2013), each at length 1; group "domain".

    Raises `MissingData`.
    """
    domains = ("mnist", "usps")
    stored = _read("mnist-usps-pixels", DIGITS)
    items = [torch.from_numpy(stored[f"{domain}_x"]).flatten(1).float() for domain in domains]
    items = [part / part.norm(dim=1, keepdim=True) for part in items]
    labels = [stored[f"{domain}_y"] for domain in domains]
    return _table("mnist-usps-pixels", domains, items, labels, tuple(map(str, range(10))))


def digit_images(domain: str) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 16, 16) in [0, 1] of "mnist" or "usps", and labels (N,). Raises `MissingData`."""
    stored = _read("mnist-usps", DIGITS)
    items, labels = (torch.from_numpy(stored[f"{domain}_{part}"]) for part in ("x", "y"))
    return items.view(-1, 1, 16, 16).float() / 255, labels.long()


FEATURE_TABLES: dict[str, Callable[[], EmbeddingTable]] = {
    "office-caltech10": office_caltech10,
    "mnist-usps-pixels": mnist_usps_pixels,
}


def z_scored(items: Tensor) -> Tensor:
    """Each feature of items (N, D) at mean 0 and standard deviation 1; one that never changes becomes 0."""
    deviation = items.std(0)
    return (items - items.mean(0)) / torch.where(deviation > 0, deviation, 1)


def _frequencies(counts: np.ndarray) -> Tensor:
    items = torch.from_numpy(counts.astype(np.float64))
    return items / items.sum(1, keepdim=True)


def _table(
    name: str, domains: tuple[str, ...], items: list[Tensor], labels: list[np.ndarray], class_names: tuple[str, ...]
) -> EmbeddingTable:
    places = [(domain, row) for domain, part in zip(domains, items, strict=True) for row in range(len(part))]
    features = torch.cat(items).float()
    return EmbeddingTable(
        features=features,
        labels=torch.from_numpy(np.concatenate(labels).astype(np.int64)),
        class_names=class_names,
        ids=tuple(f"{domain}/{row:04d}" for domain, row in places),
        groups={"domain": Grouping.of([domain for domain, _ in places])},
        backbone=name,
        dataset=fingerprint(features),
        provenance={"dataset": {"name": name}, "backbone": {"name": f"{name}'s own features"}},
    )


def _read(name: str, place: str) -> dict[str, np.ndarray]:
    path = required_file(name, place)
    try:
        with np.load(path) as stored:
            return {key: stored[key] for key in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"{path} does not hold {name} as expected ({error!r}); copy it anew") from None
