"""Augmentation by name: what each does to images and labels, the same for equal seeds."""

import math

import pytest
import torch

from fewshot.errors import UnknownName
from fewshot.transfer.augmentation import augmentation, cutmix, list_augmentations, mixup
from fewshot.transfer.augmentation.operations import OPERATIONS


def batch(count: int = 6, side: int = 16, classes: int = 3):
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=draw, dtype=torch.uint8)
    return pixels, torch.eye(classes)[torch.arange(count) % classes]


@pytest.mark.parametrize("name", [*list_augmentations(), "light+mixup", "flip + cutmix"])
def test_every_policy_keeps_shapes_and_follows_its_seed(name):
    pixels, targets = batch()
    policy = augmentation(name)
    before = torch.get_rng_state()
    one, same, other = (policy(pixels, targets, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before), "the program's own numbers stay"
    assert one[0].shape == pixels.shape
    assert 0 <= float(one[0].min()) <= float(one[0].max()) <= 255
    torch.testing.assert_close(one[1].sum(1), torch.ones(len(targets)))
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert bool(policy) == (name != "none")
    if policy:
        assert not torch.equal(one[0], other[0])
        assert not torch.equal(one[0].float(), pixels.float())
    else:
        assert torch.equal(one[0], pixels)


def test_steps_of_presets_and_names():
    assert augmentation("none").steps == ()
    assert augmentation("light").steps == ("flip", "shift")
    assert augmentation("mixup+flip+light").steps == ("flip", "shift", "mixup")
    assert augmentation("strong").steps[-1] == "cutmix"
    with pytest.raises(UnknownName, match="no augmentation is called 'mixxup'; near: mixup"):
        augmentation("flip+mixxup")


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_image_is_changed_by_itself(name):
    pixels = batch(1)[0].expand(8, -1, -1, -1).contiguous()
    torch.manual_seed(3)
    changed = OPERATIONS[name](pixels)
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 1


def test_flip_is_the_mirror_half_of_the_time():
    pixels = batch(400, 4)[0]
    torch.manual_seed(0)
    flipped = OPERATIONS["flip"](pixels)
    mirrored = (flipped == pixels.flip(-1)).flatten(1).all(1)
    kept = (flipped == pixels).flatten(1).all(1)
    assert bool((mirrored | kept).all())
    assert 150 < int(mirrored.sum()) < 250


def test_rotation_turns_by_fifteen_degrees_at_most():
    """The centre of a bright spot goes around the middle by the angle of the turn."""
    pixels = torch.zeros(60, 1, 65, 65, dtype=torch.uint8)
    pixels[:, :, 30:35, 55:60] = 255
    torch.manual_seed(0)
    turned = OPERATIONS["rotation"](pixels).double()[:, 0]
    places = torch.arange(65).double() - 32
    mass = turned.sum((1, 2))
    x, y = (turned.sum(1) * places).sum(1) / mass, (turned.sum(2) * places).sum(1) / mass
    angles = torch.rad2deg(torch.atan2(-y, x))
    assert float(angles.abs().max()) <= 15.5
    assert float(angles.max()) > 10 > -10 > float(angles.min())


@pytest.mark.parametrize("seed", range(3))
def test_mixup_mixes_images_and_labels_by_the_same_share(seed):
    pixels, _ = batch(5)
    targets = torch.eye(5)  # so that a target tells which two images were mixed
    torch.manual_seed(seed)
    mixed, labels = mixup(pixels, targets)
    for row in range(5):
        expected = torch.zeros_like(mixed[row])
        for other in range(5):
            expected += labels[row, other] * pixels[other].float()
        torch.testing.assert_close(mixed[row], expected, rtol=1e-4, atol=1e-2)
        assert int((labels[row] > 0).sum()) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_labels_are_shares_of_area(seed):
    count, side = 6, 12
    values = torch.arange(count, dtype=torch.uint8) * 10
    pixels = values[:, None, None, None].expand(-1, 3, side, side).contiguous()
    torch.manual_seed(seed)
    mixed, labels = cutmix(pixels, torch.eye(count))
    for row in range(count):
        shares = [float((mixed[row, 0] == value).float().mean()) for value in values]
        assert labels[row].tolist() == pytest.approx(shares, abs=1e-6)
        foreign = mixed[row, 0] != values[row]
        rows, columns = foreign.any(1).nonzero().flatten(), foreign.any(0).nonzero().flatten()
        assert int(foreign.sum()) == len(rows) * len(columns), "what is foreign is a rectangle"


def test_mixing_shares_follow_their_beta():
    """The mean of a Beta(a, a) is 1/2, its variance 1 / (4 (2 a + 1))."""
    pixels, targets = torch.zeros(4000, 1, 1, 1, dtype=torch.uint8), torch.eye(2).repeat(2000, 1)
    torch.manual_seed(0)
    _, labels = mixup(pixels, targets)
    rows = torch.arange(4000)
    own = labels[rows, targets.argmax(1)]
    mixed = own[own < 1]  # half of the partners are of the same class
    assert float(mixed.mean()) == pytest.approx(0.5, abs=0.04)
    assert float(mixed.std()) == pytest.approx(math.sqrt(1 / (4 * (2 * 0.2 + 1))), abs=0.03)
