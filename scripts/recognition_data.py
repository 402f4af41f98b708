"""The pictures that `compare_recognition.py` indexes and asks: openmoji, Grocery Store and Omniglot, as features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

import fewshot
from fewshot.backbones import Backbone
from fewshot.datasets import Dataset
from fewshot.datasets.collection import openmoji
from fewshot.datasets.grouping import Grouping
from fewshot.embeddings import EmbeddingTable

DRAWINGS, SEED = 3000, 0  # Omniglot drawings asked, and the seed that chooses them


class Material(NamedTuple):
    """Unit features and class numbers of the pictures that are indexed, and of those that are asked."""

    name: str
    items: np.ndarray
    classes: np.ndarray
    asked: np.ndarray
    answers: np.ndarray


def all_emoji() -> Dataset:
    """All pictures of the package that differ from their line drawing; a class each, asked by drawings of one class."""
    codes = sorted(path.stem for path in openmoji._folder().glob("*.svg"))
    drawing = {code: openmoji._digest(code, "line") for code in codes}
    codes = [code for code in codes if openmoji._digest(code, "color") != drawing[code]]
    times = Counter(drawing[code] for code in codes)
    own = [code for code in codes if times[drawing[code]] == 1]
    pictures = [(code, "color") for code in codes] + [(code, "line") for code in own]
    number = {code: place for place, code in enumerate(codes)}
    return Dataset(
        "openmoji-all",
        openmoji.EmojiImages(pictures, 128),
        torch.tensor([number[code] for code, _ in pictures]),
        tuple(codes),
        tuple(f"{domain}/{code}" for code, domain in pictures),
        groups={"domain": Grouping.of([domain for _, domain in pictures])},
    )


def some_omniglot() -> Dataset:
    """Every character by its first drawer, and a sample of the others' drawings."""
    whole = fewshot.load_dataset("omniglot")
    drawer = whole.groups["drawer"]
    first = (drawer.codes == drawer.names.index("01")).nonzero().flatten()
    rest = (drawer.codes != drawer.names.index("01")).nonzero().flatten()
    generator = torch.Generator().manual_seed(SEED)
    sample = rest[torch.randperm(len(rest), generator=generator)[:DRAWINGS].sort().values]
    return whole.select(torch.cat([first, sample]))


def materials(backbone: Backbone) -> Iterator[Material]:
    """One picture a class of each of the three, and five photos a class of Grocery Store; features are kept."""
    yield material("openmoji", fewshot.embed(backbone, all_emoji()), "domain", "color")
    grocery = grocery_photos(backbone)
    yield material("grocery-store", grocery, "domain", "iconic")
    yield five_photos(grocery)
    yield material("omniglot", fewshot.embed(backbone, some_omniglot()), "drawer", "01")


def grocery_photos(backbone: Backbone) -> EmbeddingTable:
    """Grocery Store, all of it."""
    return fewshot.embed(backbone, fewshot.load_dataset("grocery-store"))


def material(name: str, table: EmbeddingTable, group: str, indexed: str) -> Material:
    """The items of one value of a grouping as the index, all the others as questions."""
    grouping = table.groups[group]
    mine = (grouping.codes == grouping.names.index(indexed)).numpy()
    features = torch.nn.functional.normalize(table.features.float(), dim=1).numpy()
    labels = table.labels.numpy()
    return Material(name, features[mine], labels[mine], features[~mine], labels[~mine])


def five_photos(table: EmbeddingTable) -> Material:
    """Five photos a class of Grocery Store's part train, drawn once, asked by its part test."""
    whole = material("grocery-store photos", table, "part", "train")
    test = (table.groups["part"].codes == table.groups["part"].names.index("test")).numpy()
    order = np.random.default_rng(SEED).permutation(len(whole.items))
    kept = np.concatenate([order[whole.classes[order] == each][:5] for each in np.unique(whole.classes)])
    asked = torch.nn.functional.normalize(table.features.float(), dim=1).numpy()[test]
    return whole._replace(
        items=whole.items[kept], classes=whole.classes[kept], asked=asked, answers=table.labels.numpy()[test]
    )
