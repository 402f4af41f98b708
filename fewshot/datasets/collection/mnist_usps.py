"""Digits in two domains, 16 x 16: the samples of MNIST and USPS that domain adaptation uses (Long et al. 2013)."""

import zipfile

import numpy as np
import torch

from fewshot.datasets.catalogue import DatasetInfo, register_dataset
from fewshot.datasets.dataset import Dataset
from fewshot.datasets.grouping import Grouping
from fewshot.datasets.local_files import local_file, required_file
from fewshot.datasets.sources.arrays import ArrayImages
from fewshot.errors import UnreadableFile

LOCAL = "digits_mnist_usps/digits_mnist_usps_16.npz"
DOMAINS = ("mnist", "usps")

INFO = DatasetInfo(
    summary="digits of MNIST and USPS; group domain",
    classes=10,
    items=3800,
    source=f"{LOCAL} in FEWSHOT_DATA",
    licence="none stated; research use",
    located=lambda: local_file(LOCAL),
)


@register_dataset("mnist-usps", INFO)
def mnist_usps() -> Dataset:
    """2,000 MNIST and 1,800 USPS digits, white on black."""
    path = required_file("mnist-usps", LOCAL)
    try:
        with np.load(path) as stored:
            pixels = [stored[f"{domain}_x"] for domain in DOMAINS]
            labels = np.concatenate([stored[f"{domain}_y"] for domain in DOMAINS])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableFile(f"{path} does not hold the digits as expected ({error!r}); copy it anew") from None
    places = [(domain, index) for domain, part in zip(DOMAINS, pixels, strict=True) for index in range(len(part))]
    return Dataset(
        name="mnist-usps",
        images=ArrayImages(np.concatenate(pixels)),
        labels=torch.from_numpy(labels.astype(np.int64)),
        class_names=tuple(str(digit) for digit in range(10)),
        ids=tuple(f"{domain}/{index:04d}" for domain, index in places),
        groups={"domain": Grouping.of([domain for domain, _ in places])},
    )
