"""Tasks show the classes that their labels say; batches go through the data set; parts make the whole."""

import pytest
import torch
from PIL import Image

from fewshot.backbones.networks.untrained import drawings
from fewshot.datasets import load_dataset
from fewshot.episodes import EpisodeSampler
from fewshot.errors import FewshotError, SamplingError, UnknownName
from fewshot.learners.meta.training.image_bank import ByteScale, DecodedImages, ImageBank
from fewshot.learners.meta.training.task_sources import ImageTasks, LabelledBatches, StepBatches

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bank(base) -> ImageBank:
    return ImageBank.load(base, drawings(28), CPU, cache=False, progress=False)


def item_numbers(images: torch.Tensor, bank: ImageBank) -> torch.Tensor:
    """The item, among all and their turned copies, that each image (..., C, H, W) is."""
    every = bank.scale.to_floats(bank.gather(torch.arange(4 * len(bank)))).flatten(1)
    distances = torch.cdist(images.flatten(0, -4).flatten(1).double(), every.double())
    assert (distances.min(1).values < 1e-3).all()
    return distances.argmin(1).view(images.shape[:-3])


def test_tasks_are_those_of_the_sampler(base, bank) -> None:
    tasks = ImageTasks(bank, base, 3, 2, 4, seed=7).batch(5, 6)
    episodes = EpisodeSampler(base.labels, 3, 2, 4, seed=7).sample(6, 5)
    assert torch.equal(item_numbers(tasks.support, bank), episodes.support)
    assert torch.equal(item_numbers(tasks.query, bank), episodes.query)
    assert torch.equal(tasks.support_labels, episodes.support_labels)
    assert torch.equal(tasks.query_labels, episodes.query_labels)
    assert (tasks.ways, tasks.support.dtype) == (3, torch.float32)


@pytest.mark.parametrize("augmentation", [(), ("crop", "flip", "jitter")])
def test_a_task_depends_on_its_number_alone(base, bank, augmentation) -> None:
    source = ImageTasks(bank, base, 3, 1, 2, seed=7, rotations=True, augmentation=augmentation)
    many = source.batch(0, 300)  # beyond what is drawn ahead
    for start, count in ((299, 1), (0, 2), (250, 20), (3, 1)):
        part = source.batch(start, count)
        assert torch.equal(part.support, many.support[start : start + count])
        assert torch.equal(part.query, many.query[start : start + count])
    assert not torch.equal(many.query[0], many.query[1])


def test_turned_classes_are_classes(base, bank) -> None:
    tasks = ImageTasks(bank, base, 5, 1, 2, seed=0, rotations=True).batch(0, 40)
    support, query = (item_numbers(images, bank) for images in (tasks.support, tasks.query))
    classes = base.labels.repeat(4) + torch.arange(4).repeat_interleave(96) * 12
    for task in range(40):
        of_label = {int(tasks.support_labels[task, i]): int(classes[support[task, i]]) for i in range(5)}
        assert len(set(of_label.values())) == 5
        assert [of_label[label] for label in tasks.query_labels[task].tolist()] == classes[query[task]].tolist()
    assert {number // 96 for number in query.flatten().tolist()} == {0, 1, 2, 3}


@pytest.mark.parametrize("rotations", [False, True])
def test_within_one_group(base, bank, rotations) -> None:
    tasks = ImageTasks(bank, base, 3, 1, 2, seed=0, rotations=rotations, within="half").batch(0, 30)
    items = item_numbers(torch.cat([tasks.support, tasks.query], 1), bank)
    halves = base.groups["half"].codes[items % 96]
    assert (halves == halves[:, :1]).all()
    assert (items // 96 == items[:, :1] // 96).all()
    assert len(halves[:, 0].unique()) == 2
    assert len((items // 96).unique()) == (4 if rotations else 1)


def test_what_the_data_cannot_give(base, bank) -> None:
    with pytest.raises(UnknownName, match="no grouping is called 'alphabet'; near: half"):
        ImageTasks(bank, base, 3, 1, 2, seed=0, within="alphabet")
    with pytest.raises(SamplingError, match="too few classes with 3 items: 13 needed, 12 found"):
        ImageTasks(bank, base, 13, 1, 2, seed=0)
    with pytest.raises(SamplingError, match="has 8 of 9 items"):
        ImageTasks(bank, base, 3, 7, 2, seed=0)


def test_labelled_batches_cover_each_round_once(base, bank) -> None:
    source = LabelledBatches(bank, base, seed=3)
    batches = [source.batch(start, 20) for start in range(0, 4 * 96, 20)]
    items = torch.cat([item_numbers(batch.query[0], bank) for batch in batches])
    orders = [items[start : start + 96].tolist() for start in range(0, 4 * 96, 96)]
    assert all(sorted(order) == list(range(96)) for order in orders)
    assert orders[0] != orders[1]
    for batch in batches:
        assert batch.support.shape == (1, 0, 1, 28, 28)
        assert batch.support_labels.shape == (1, 0)
        assert torch.equal(batch.query_labels[0], base.labels[item_numbers(batch.query[0], bank)])
        assert batch.ways == 12


def test_turned_images_are_classes_of_labelled_batches(base, bank) -> None:
    """Each round has every image four times; an image turned by r quarters has the label r * 12 + its class."""
    source = LabelledBatches(bank, base, seed=3, rotations=True)
    batches = [source.batch(start, 48) for start in range(0, 4 * 96, 48)]
    items = torch.cat([item_numbers(batch.query[0], bank) for batch in batches])
    assert sorted(items.tolist()) == list(range(4 * 96))
    expected = base.labels[items % 96] + items // 96 * 12
    assert torch.equal(torch.cat([batch.query_labels[0] for batch in batches]), expected)
    assert {batch.ways for batch in batches} == {48}
    part = LabelledBatches(bank, base, seed=3, rotations=True).batch(40, 20)
    assert torch.equal(part.query[0], torch.cat([batch.query[0] for batch in batches])[40:60])


def test_a_labelled_image_depends_on_its_number_alone(base, bank) -> None:
    source = LabelledBatches(bank, base, seed=3, augmentation=("crop", "jitter"))
    whole, part = source.batch(90, 12), LabelledBatches(bank, base, 3, ("crop", "jitter")).batch(95, 4)
    assert torch.equal(whole.query[:, 5:9], part.query)


def test_processes_share_the_tasks_of_a_step(base, bank) -> None:
    source = ImageTasks(bank, base, 3, 1, 2, seed=0)
    whole = StepBatches(source, 6)
    parts = [StepBatches(source, 6, rank, 3) for rank in range(3)]
    for step in (0, 1, 50):
        assert torch.equal(torch.cat([part[step].query for part in parts]), whole[step].query)
        assert len(whole[step]) == 6
    assert not torch.equal(whole[0].query, whole[1].query)


def test_worker_processes_make_the_same_tasks(base, bank) -> None:
    decoded = DecodedImages(base, drawings(28), ByteScale.of(drawings(28)))
    here, there = (
        StepBatches(ImageTasks(images, base, 3, 1, 2, 0, True, ("crop", "jitter")), 2) for images in (bank, decoded)
    )
    expected, found = list(here.stream(3, 8, CPU)), list(there.stream(3, 8, CPU, workers=2))
    assert len(found) == len(expected) == 5
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one.support, other.support)
        assert torch.equal(one.query, other.query)
        assert torch.equal(one.query_labels, other.query_labels)


def test_a_broken_image_in_a_worker_is_named(tmp_path) -> None:
    for number in range(8):
        (tmp_path / f"{number % 2}").mkdir(exist_ok=True)
        Image.new("RGB", (30, 30), "red").save(tmp_path / f"{number % 2}" / f"{number}.png")
    (tmp_path / "1" / "3.png").write_bytes((tmp_path / "1" / "3.png").read_bytes()[:60])
    dataset = load_dataset(f"folder:{tmp_path}")
    decoded = DecodedImages(dataset, drawings(28), ByteScale.of(drawings(28)))
    batches = StepBatches(ImageTasks(decoded, dataset, 2, 1, 2, 0), 4)
    with pytest.raises(FewshotError, match=r"1 images cannot be read: 1/3\.png"):
        list(batches.stream(0, 5, CPU, workers=1))
