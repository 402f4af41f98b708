"""Handwritten digits, 8 x 8 grey: comes with scikit-learn."""

import numpy as np
import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.sources.arrays import ArrayImages

INFO = DatasetInfo(
    summary="handwritten digits, 8 x 8 grey",
    classes=10,
    items=1797,
    source="scikit-learn (UCI Optical Recognition of Handwritten Digits, test part)",
    licence="CC BY 4.0",
)


@register_dataset("digits", INFO)
def digits() -> Dataset:
    """1,797 digits by 13 writers, dark ink on white."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.round(255 - bunch.images * (255 / 16)).astype(np.uint8)
    names = tuple(str(digit) for digit in range(10))
    ids = tuple(f"{label}/{index:04d}" for index, label in enumerate(bunch.target))
    return Dataset("digits", ArrayImages(pixels), torch.from_numpy(bunch.target), names, ids)
