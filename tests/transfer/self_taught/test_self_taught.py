"""A pretraining learns, is kept, goes on to the same numbers, and gives a backbone like any other."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import fewshot
from fewshot.datasets import Dataset
from fewshot.datasets.sources.arrays import ArrayImages
from fewshot.errors import BrokenImages, Diverged, FingerprintMismatch, InvalidInput, MissingData, UnreadableFile
from fewshot.files import read_json
from fewshot.transfer.self_taught import (
    Plain,
    Pretraining,
    create_objective,
    list_objectives,
    load_unlabelled,
    pretrain,
)

BACKBONE = "fewshot:conv4-strided-omniglot"
SHORT = Pretraining(steps=6, batch=8, save_every=3)


def blobs(count: int = 40, seed: int = 0) -> Dataset:
    """Dark discs on white at random places, in two sizes."""
    noise = np.random.default_rng(seed)
    rows, columns = np.mgrid[:28, :28]
    labels = np.arange(count) % 2
    centres = noise.integers(8, 20, (count, 2))
    pixels = [
        np.where((rows - y) ** 2 + (columns - x) ** 2 < (20 + 40 * label), 0, 255)
        for (y, x), label in zip(centres, labels, strict=True)
    ]
    ids = tuple(f"{number}.png" for number in range(count))
    images = ArrayImages(np.stack(pixels).astype(np.uint8))
    return Dataset("blobs", images, torch.from_numpy(labels), ("small", "large"), ids)


def teach(out, objective="plain", training=SHORT, dataset=None, **changes):
    chosen = create_objective(objective) if isinstance(objective, str) else objective
    return pretrain(chosen, BACKBONE, dataset or blobs(), out, replace(training, **changes), "cpu", progress=False)


def same(one, other) -> bool:
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("objective", list_objectives())
def test_it_learns_and_is_kept(objective: str, tmp_path) -> None:
    path = teach(tmp_path, objective, steps=60, batch=16, save_every=20, learning_rate=3e-3)
    with (tmp_path / "log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[2] < losses[1] < losses[0]
    assert losses[2] < 0.7 * losses[0]
    assert {file.name for file in tmp_path.iterdir()} == {
        "encoder.safetensors", "last.safetensors", "pretraining.json", "log.csv"
    }  # fmt: skip
    record = read_json(tmp_path / "pretraining.json")
    assert record["objective"]["name"] == objective
    backbone = fewshot.create_backbone(f"file:{BACKBONE}@{path}", device="cpu", precision="float32")
    random = fewshot.create_backbone(BACKBONE, device="cpu", precision="float32", pretrained=False)
    assert backbone.fingerprint != random.fingerprint
    assert backbone.preprocess.settings == random.preprocess.settings
    assert backbone.dim == random.dim


def test_the_same_again_and_after_a_stop(tmp_path) -> None:
    whole = teach(tmp_path / "whole", "masked")
    again = teach(tmp_path / "again", "masked")
    assert same(whole, again)

    class Stop(Exception):
        pass

    def stop(row) -> None:
        raise Stop

    with pytest.raises(Stop):
        pretrain(create_objective("masked"), BACKBONE, blobs(), tmp_path / "two", SHORT, "cpu", False, stop)
    assert not (tmp_path / "two" / "encoder.safetensors").exists()
    assert same(whole, teach(tmp_path / "two", "masked"))
    assert same(tmp_path / "whole" / "last.safetensors", tmp_path / "two" / "last.safetensors")
    written = whole.stat().st_mtime_ns
    teach(tmp_path / "whole", "masked")
    assert whole.stat().st_mtime_ns == written  # one that has ended is left alone
    assert not same(whole, teach(tmp_path / "other", "masked", seed=1))


def test_labels_are_never_seen(tmp_path) -> None:
    dataset = blobs()
    other = Dataset("blobs", dataset.images, torch.zeros(40, dtype=torch.int64), ("all",), dataset.ids)
    assert same(teach(tmp_path / "one"), teach(tmp_path / "two", dataset=other))


def test_every_image_comes_before_any_comes_again() -> None:
    training = Pretraining(batch=8)
    seen = torch.cat([training.rows(step, 43) for step in range(5)])
    assert len(seen.unique()) == 40
    assert not torch.equal(training.rows(0, 43), training.rows(5, 43))
    assert sorted(training.rows(3, 5).tolist()) == [0, 1, 2, 3, 4]


def test_what_was_taught_sorts_images_it_never_saw(tmp_path) -> None:
    path = teach(tmp_path, "denoising", steps=150, batch=16, save_every=150, learning_rate=3e-3)
    backbone = fewshot.create_backbone(f"file:{BACKBONE}@{path}", device="cpu")
    table = fewshot.embed(backbone, blobs(200, seed=1), cache=False, workers=0, progress=False)
    episodes = fewshot.EpisodeSampler(table.labels, ways=2, shots=5, queries=10, seed=0).sample(50)
    result = fewshot.evaluate(fewshot.create_learner("logistic"), table, episodes)
    assert result.accuracy > 0.7


def test_another_pretraining_is_not_overwritten(tmp_path) -> None:
    teach(tmp_path)
    with pytest.raises(FingerprintMismatch, match="objective.name"):
        teach(tmp_path, "masked")
    with pytest.raises(FingerprintMismatch, match="dataset"):
        teach(tmp_path, dataset=blobs(seed=2))


def test_damage_is_told(tmp_path) -> None:
    teach(tmp_path)
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:100])
    with pytest.raises(UnreadableFile, match="damaged"):
        teach(tmp_path)
    (tmp_path / "encoder.safetensors").rename(last)
    with pytest.raises(UnreadableFile, match="no pretraining"):
        teach(tmp_path)


def test_what_cannot_be_learned(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="two or more"):
        teach(tmp_path, dataset=blobs(1))
    with pytest.raises(InvalidInput, match="mean and std"):
        pretrain(Plain(), "fewshot:raw-pixels", blobs(), tmp_path / "raw", SHORT, "cpu", progress=False)
    with pytest.raises(Diverged, match="step"):
        teach(tmp_path / "far", learning_rate=1e30, steps=20)
    for name, value in (("batch", 1), ("steps", 0), ("learning_rate", 0), ("weight_decay", -1), ("precision", "half")):
        with pytest.raises(InvalidInput, match=name):
            Pretraining(**{name: value})
    with pytest.raises(InvalidInput, match="blur"):
        Pretraining(augmentation=("blur",))


def test_augmented_in_lower_precision(tmp_path) -> None:
    path = teach(tmp_path, augmentation=("crop", "flip"), precision="bfloat16")
    assert all(tensor.dtype != torch.bfloat16 for tensor in load_file(path).values())
    assert json.loads(json.dumps(read_json(tmp_path / "pretraining.json")))["training"]["augmentation"] == [
        "crop", "flip"
    ]  # fmt: skip


def test_a_folder_needs_no_classes(tmp_path) -> None:
    folder = tmp_path / "photos"
    (folder / "holiday").mkdir(parents=True)
    for number, place in enumerate(("one.png", "two.jpg", "holiday/three.png")):
        Image.new("RGB", (30, 30), (80 * number, 0, 0)).save(folder / place)
    (folder / "notes.txt").write_text("no picture")
    found = load_unlabelled(str(folder))
    assert sorted(found.ids) == ["holiday/three.png", "one.png", "two.jpg"]
    assert found.class_names == ("unlabelled",)
    (folder / "empty.png").touch()
    with pytest.raises(BrokenImages, match="empty"):
        load_unlabelled(str(folder))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(MissingData, match="no pictures"):
        load_unlabelled(str(tmp_path / "nothing"))
    assert load_unlabelled("digits").name == "digits"
