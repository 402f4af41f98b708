"""Digits at 28 pixels and a small network with batch norms: real data, quick trainings."""

import pytest

import fewshot
from fewshot.transfer.finetuning import LabelledImages, build_model


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """`digits(shots, first)`: so many images of each of four digits, from the first on."""
    patch = pytest.MonkeyPatch()
    patch.setenv("FEWSHOT_CACHE", str(tmp_path_factory.mktemp("digits")))
    dataset = fewshot.load_dataset("digits").select(classes=[0, 1, 2, 3])
    images = LabelledImages.load(dataset, build_model("fewshot:conv4-28", 4, pretrained=False).preprocess, False)
    patch.undo()

    def chosen(shots: int, first: int = 0) -> LabelledImages:
        import torch

        items = [(images.labels == each).nonzero().flatten()[first : first + shots] for each in range(4)]
        return images.select(torch.cat(items))

    return chosen
