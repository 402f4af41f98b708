"""Bytes there and back without loss, turned items, the cache, and images decoded each time instead."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from fewshot.backbones.network import Preprocessing
from fewshot.backbones.networks.untrained import drawings, square_images
from fewshot.datasets import load_dataset
from fewshot.errors import BrokenImages, FewshotWarning, InvalidInput
from fewshot.files import cache_folder
from fewshot.learners.meta.training import image_bank
from fewshot.learners.meta.training.image_bank import ByteScale, DecodedImages, ImageBank, open_images

CPU = torch.device("cpu")


@pytest.mark.parametrize("preprocess", [drawings(28), square_images(16)], ids=["drawings", "colours"])
def test_every_byte_comes_back(preprocess) -> None:
    scale = ByteScale.of(preprocess)
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, preprocess.channels, 16, 16)
    floats = scale.to_floats(every)
    assert torch.equal(scale.to_bytes(floats), every)
    mean, std = (torch.tensor(preprocess.settings[key])[:, None, None] for key in ("mean", "std"))
    torch.testing.assert_close(floats, (every / 255 - mean) / std)
    assert torch.equal(scale.to_floats(every.float()), floats)


def test_the_bank_holds_what_the_preprocessing_gives(base) -> None:
    preprocess = drawings(28)
    bank = ImageBank.load(base, preprocess, CPU, cache=False, progress=False)
    prepared = torch.stack([preprocess(base.images[item]) for item in (0, 7, 50)])
    torch.testing.assert_close(bank.scale.to_floats(bank.gather(torch.tensor([0, 7, 50]))), prepared)
    assert bank.pixels.dtype == torch.uint8
    assert bank.pixels.shape == (96, 1, 28, 28)


def test_items_beyond_the_last_are_turned(base) -> None:
    bank = ImageBank.load(base, drawings(28), CPU, cache=False, progress=False)
    before = bank.pixels.clone()
    turned = bank.gather(torch.tensor([[3, 96 + 3], [2 * 96 + 3, 3 * 96 + 3]]))
    image = before[3, 0].numpy()
    for quarter, place in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert np.array_equal(turned[place][0].numpy(), np.rot90(image, quarter))
    assert torch.equal(bank.pixels, before)


def test_the_cache_is_read_and_a_damaged_one_made_anew(base, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    first = ImageBank.load(base, drawings(28), CPU, progress=False)
    (kept,) = (cache_folder() / "images").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(image_bank, "_decode", None)  # nothing is decoded the second time
        assert torch.equal(ImageBank.load(base, drawings(28), CPU, progress=False).pixels, first.pixels)
    kept.write_bytes(kept.read_bytes()[:500])
    assert torch.equal(ImageBank.load(base, drawings(28), CPU, progress=False).pixels, first.pixels)
    ImageBank.load(base, drawings(20), CPU, progress=False)
    assert len(list((cache_folder() / "images").iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_told_and_done_without(base, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "file"))
    with pytest.warns(FewshotWarning, match="the prepared images are not kept for the next time: .* cannot be written"):
        assert len(ImageBank.load(base, drawings(28), CPU, progress=False)) == 96


def test_foreign_preprocessing_is_refused(base) -> None:
    bare = Preprocessing(transforms.ToTensor(), 28, {"resize": 28})
    with pytest.raises(InvalidInput, match="needs a preprocessing with mean and std in its settings; .* has resize"):
        ImageBank.load(base, bare, CPU, cache=False, progress=False)
    steps = transforms.Compose([transforms.ToTensor(), torch.square])
    other = Preprocessing(lambda image: steps(image.resize((8, 8))), 8, {"mean": [0.0] * 3, "std": [1.0] * 3})
    with pytest.raises(InvalidInput, match="pixels that are no bytes scaled by its mean and std"):
        ImageBank.load(base, other, CPU, cache=False, progress=False)


def test_broken_images_are_named_all(tmp_path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 30), "red").save(tmp_path / name)
    for name in ("a/2.png", "b/1.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:60])
    dataset = load_dataset(f"folder:{tmp_path}")
    with pytest.raises(BrokenImages, match=r"2 images cannot be read: a/2.png, b/1.png; .*skip_broken=True"):
        ImageBank.load(dataset, drawings(28), CPU, cache=False, progress=False)


def test_images_that_do_not_fit_are_decoded_when_needed(base, monkeypatch) -> None:
    size = 96 * 28 * 28
    monkeypatch.setattr(image_bank, "free_memory", lambda device: 2 * size)
    assert isinstance(open_images(base, drawings(28), CPU, progress=False), ImageBank)
    monkeypatch.setattr(image_bank, "free_memory", lambda device: 2 * size - 1)
    told = r"the 96 images of marks .* take 0\.1 MB on cpu, more than half of the 0\.2 MB free there; they are decoded"
    with pytest.warns(FewshotWarning, match=f"^{told} each time they are asked for$"):
        decoded = open_images(base, drawings(28), CPU, progress=False)
    assert isinstance(decoded, DecodedImages)
    with pytest.warns(FewshotWarning, match=f"^{told} ahead by 3 worker processes$"):
        open_images(base, drawings(28), CPU, progress=False, workers=3)
    monkeypatch.setattr(image_bank, "free_memory", lambda device: None)
    bank = open_images(base, drawings(28), CPU, progress=False)
    items = torch.tensor([[0, 5, 96 + 2], [95, 3 * 96 + 1, 2 * 96 + 50]])
    assert torch.equal(decoded.gather(items), bank.gather(items))
    assert len(decoded) == len(bank) == 96


def test_the_same_pictures_under_another_name_share_the_cache(base, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("marks", "others"):
            ImageBank.load(replace(base, name=name), drawings(28), CPU, progress=False)
    assert len(list((cache_folder() / "images").iterdir())) == 1
