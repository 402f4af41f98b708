"""`embed`: right features, cached by content, taken up after a kill, honest about broken images."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot import create_backbone, embed, load_dataset
from fewshot.datasets import ImageFolder
from fewshot.embeddings import embed_images
from fewshot.embeddings.decoding import decoded_batches, worker_count
from fewshot.embeddings.partial import PartialFeatures
from fewshot.errors import BrokenImages, InvalidInput


@pytest.fixture(scope="module")
def pixels():
    return create_backbone("fewshot:raw-pixels", device="cpu")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits").select(indices=range(150))


@pytest.fixture
def photos(tmp_path):
    """Three classes of four noise images."""
    noise = np.random.default_rng(0)
    for name in ("ant", "bee", "cow"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            picture = noise.integers(0, 255, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 64, 500])
def test_features_are_those_of_a_plain_loop(pixels, digits, workers, batch_size) -> None:
    if batch_size == 1:
        digits = digits.select(indices=range(5))
    table = embed(pixels, digits, batch_size=batch_size, workers=workers, cache=False)
    plain = torch.cat([pixels(pixels.preprocess(image)[None]) for image, _ in digits])
    assert torch.equal(table.features, plain)
    assert torch.equal(table.labels, digits.labels)
    assert table.ids == digits.ids


def test_second_call_is_a_read(pixels, digits, tmp_path) -> None:
    first = embed(pixels, digits, cache=tmp_path)
    assert len(os.listdir(tmp_path)) == 1

    class Untouchable:
        fingerprint, dim, name = pixels.fingerprint, pixels.dim, pixels.name

    again = embed(Untouchable(), digits, cache=tmp_path)  # type: ignore[arg-type]
    assert torch.equal(first.features, again.features)


def test_cache_tells_backbones_and_data_apart(pixels, digits, tmp_path) -> None:
    embed(pixels, digits, cache=tmp_path)
    embed(pixels, digits.select(indices=range(10)), cache=tmp_path)
    embed(create_backbone("fewshot:conv4", pretrained=False, device="cpu"), digits, cache=tmp_path)
    assert len(os.listdir(tmp_path)) == 3


def test_damaged_cache_is_made_anew(pixels, digits, tmp_path) -> None:
    first = embed(pixels, digits, cache=tmp_path).features.clone()
    features = next(tmp_path.iterdir()) / "features.safetensors"
    features.write_bytes(features.read_bytes()[:100])
    assert torch.equal(embed(pixels, digits, cache=tmp_path).features, first)


KILLED = """
import sys, time
from fewshot import create_backbone, embed, load_dataset
import fewshot.embeddings.partial as partial
slow = partial.PartialFeatures.write
def write(self, *batch):
    slow(self, *batch)
    self.note()
    print(self.done, flush=True)
    time.sleep(0.2)
partial.PartialFeatures.write = write
embed(create_backbone("fewshot:raw-pixels", device="cpu"), load_dataset("digits").select(indices=range(150)),
      batch_size=10, workers=0, cache=sys.argv[1])
"""


def test_a_killed_run_goes_on_where_it_was(pixels, digits, tmp_path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    done = 0
    while done < 40:
        done = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    (unfinished,) = tmp_path.iterdir()
    assert unfinished.name.endswith(".partial")

    embedded = []

    class Counting:
        fingerprint, dim, name, preprocess = pixels.fingerprint, pixels.dim, pixels.name, pixels.preprocess
        describe = staticmethod(pixels.describe)

        def __call__(self, images):
            embedded.append(len(images))
            return pixels(images)

    table = embed(Counting(), digits, batch_size=10, workers=0, cache=tmp_path)  # type: ignore[arg-type]
    assert 0 < sum(embedded) <= 150 - done
    assert torch.equal(table.features, embed(pixels, digits, cache=False).features)
    assert [path.name.endswith(".partial") for path in tmp_path.iterdir()] == [False]


def test_partial_of_another_run_is_begun_anew(tmp_path) -> None:
    mine = PartialFeatures(tmp_path, "mine", items=4, dim=2)
    mine.write(torch.arange(2), torch.ones(2, 2), broken=(2,))
    mine.note()
    assert PartialFeatures(tmp_path, "mine", items=4, dim=2).done == 3
    assert PartialFeatures(tmp_path, "mine", items=4, dim=2).broken == [2]
    assert PartialFeatures(tmp_path, "other", items=4, dim=2).done == 0


def break_some(photos) -> list[str]:
    (photos / "ant" / "1.png").write_bytes((photos / "ant" / "1.png").read_bytes()[:300])
    (photos / "cow" / "3.png").write_bytes((photos / "cow" / "3.png").read_bytes()[:200])
    return ["ant/1.png", "cow/3.png"]


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_images_are_all_named(pixels, photos, workers) -> None:
    dataset = ImageFolder(photos)
    broken = break_some(photos)
    with pytest.raises(BrokenImages, match="2 images cannot be read: ant/1.png, cow/3.png") as caught:
        embed(pixels, dataset, batch_size=3, workers=workers)
    assert list(caught.value.names) == broken


def test_broken_images_are_left_out_when_asked(pixels, photos, tmp_path) -> None:
    dataset = ImageFolder(photos)
    broken = break_some(photos)
    table = embed(pixels, dataset, batch_size=3, skip_broken=True, cache=tmp_path / "cache")
    assert len(table) == 10
    assert not set(broken) & set(table.ids)
    whole = [index for index, name in enumerate(dataset.ids) if name not in broken]
    assert torch.equal(table.features, embed(pixels, dataset.select(indices=whole), cache=False).features)


def test_empty_and_nonsense(pixels, digits) -> None:
    with pytest.raises(InvalidInput, match=r"digits \(all\) has no images to embed"):
        embed(pixels, digits.select(indices=[]))
    with pytest.raises(InvalidInput, match="batch_size must be 1 or more, found 0"):
        embed(pixels, digits, batch_size=0)


def test_embed_images_takes_paths_pictures_and_arrays(pixels, photos) -> None:
    path = photos / "ant" / "0.png"
    picture = Image.open(path)
    features = embed_images(pixels, [path, str(path), picture, np.asarray(picture)])
    assert features.shape == (4, pixels.dim)
    assert torch.equal(features, features[:1].expand(4, -1))
    grey = np.asarray(picture.convert("L"))
    assert torch.equal(embed_images(pixels, [grey]), embed_images(pixels, [Image.fromarray(grey)]))


def test_embed_images_names_what_it_cannot_read(pixels, photos) -> None:
    (photos / "text.jpg").write_text("not a picture")
    with pytest.raises(BrokenImages, match=r"2 images cannot be read: .*text\.jpg, .*none\.jpg"):
        embed_images(pixels, [photos / "ant" / "0.png", photos / "text.jpg", photos / "none.jpg"])
    assert embed_images(pixels, []).shape == (0, pixels.dim)


def test_batches_come_in_order_from_the_start_asked_for(pixels, digits) -> None:
    batches = list(decoded_batches(digits.images, pixels.preprocess, batch_size=40, workers=2, start=30))
    assert torch.cat([batch.rows for batch in batches]).tolist() == list(range(30, 150))


def test_worker_count() -> None:
    assert worker_count(100, 64) == 0
    assert 1 <= worker_count(10_000, 64) <= 16
