"""A thousand classes in eighty templates: all prompts are read, and few of their vectors are held at a time."""

import weakref
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from fewshot.zeroshot import ensembles, template_set
from fewshot.zeroshot.prompts import class_prompts

DIM, CLASSES = 16, 1000


class Spelling:
    """Vectors by the letters of a text."""

    name = "test:spelling"

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, texts: list[str], batch_size: int) -> torch.Tensor:
        self.read += len(texts)
        return torch.tensor([[text.count(chr(97 + letter)) for letter in range(DIM)] for text in texts]).float() + 0.1


@pytest.fixture
def held(monkeypatch):
    """How many vectors are alive, and the most that were."""
    count, normalize = SimpleNamespace(now=0, most=0), ensembles.l2_normalize

    def forget(rows: int) -> None:
        count.now -= rows

    def watched(vectors: torch.Tensor) -> torch.Tensor:
        found = normalize(vectors)
        count.now += len(found)
        count.most = max(count.most, count.now)
        weakref.finalize(found, forget, len(found))
        return found

    monkeypatch.setattr(ensembles, "l2_normalize", watched)
    return count


@pytest.fixture
def bar(monkeypatch):
    """What the progress bar is told."""
    told = SimpleNamespace(advances=[])

    @contextmanager
    def watched(title, total, show):
        told.total, told.show = total, show
        yield told.advances.append

    monkeypatch.setattr(ensembles, "progress_bar", watched)
    return told


@pytest.mark.parametrize("how", ["mean", "weighted"])
def test_a_thousand_classes_in_eighty_templates(how, held, bar):
    text, names = Spelling(), [f"kind {chr(97 + number % 26)}{number}" for number in range(CLASSES)]
    prompts = class_prompts(names, template_set("imagenet"))
    found = ensembles.prompt_vectors(text, prompts, batch_size=256, progress=True)
    if how == "mean":
        vectors = ensembles.mean_of_prompts(found, CLASSES)
    else:
        vectors = ensembles.weighted_by_images(found, torch.nn.functional.normalize(torch.rand(5, DIM), dim=1))
    assert text.read == 80 * CLASSES
    assert vectors.shape == (CLASSES, DIM)
    assert held.most <= 2 * 3 * CLASSES, "lists of a thousand are joined until there are 2,048; two such at most"
    assert bar.total == sum(bar.advances) == 80 * CLASSES
    assert bar.show
    assert len(bar.advances) == 27
    if how == "mean":
        own = torch.nn.functional.normalize(text(list(prompts[names[7]]), 256), dim=1).mean(0)
        torch.testing.assert_close(vectors[7], own)
