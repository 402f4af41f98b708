"""Augmentations against loops over single images, and one task alone against the same in a batch."""

import pytest
import torch

from fewshot.episodes.randomness import Randomness
from fewshot.errors import InvalidInput
from fewshot.learners.meta.training.augmentation import augment, check_steps

PIXELS = torch.randint(0, 256, (3, 4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def draws() -> Randomness:
    return Randomness(5, torch.arange(7, 10))


def test_crop_shifts_and_repeats_the_border() -> None:
    found = augment(PIXELS, draws(), ("crop",))
    shares = draws().uniform("crop", 4, 2)
    seen = set()
    for task in range(3):
        for item in range(4):
            down, right = (int(share * 5) - 2 for share in shares[task, item])  # an eighth of 16 either way
            seen |= {down, right}
            for row in range(16):
                for column in range(16):
                    there = PIXELS[task, item, :, min(max(row + down, 0), 15), min(max(column + right, 0), 15)]
                    assert (found[task, item, :, row, column] == there).all()
    assert seen == {-2, -1, 0, 1, 2}
    assert found.dtype == torch.uint8


def test_flip_mirrors_one_in_two() -> None:
    found = augment(PIXELS, draws(), ("flip",))
    flipped = draws().uniform("flip", 4) < 0.5
    assert 0 < flipped.sum() < 12
    for task in range(3):
        for item in range(4):
            image = PIXELS[task, item]
            assert torch.equal(found[task, item], torch.flip(image, [2]) if flipped[task, item] else image)


def test_jitter_changes_brightness_colour_and_contrast() -> None:
    found = augment(PIXELS, draws(), ("jitter",)).double()
    for task in range(3):
        for item in range(4):
            brightness, contrast, colour = 0.6 + 0.8 * draws().uniform("jitter", 4, 3)[task, item]
            image = PIXELS[task, item].double() * brightness
            grey = (image[0] + image[1] + image[2]) / 3
            image = grey + colour * (image - grey)
            image = grey.mean() + contrast * (image - grey.mean())
            torch.testing.assert_close(found[task, item], image.clamp(0, 255), rtol=0, atol=1e-3)


@pytest.mark.parametrize("steps", [("crop",), ("flip",), ("jitter",), ("crop", "flip", "jitter")])
def test_a_task_alone_is_as_in_a_batch(steps) -> None:
    together = augment(PIXELS, draws(), steps)
    alone = augment(PIXELS[1:2], Randomness(5, torch.tensor([8])), steps)
    assert torch.equal(alone[0], together[1])
    assert not torch.equal(augment(PIXELS[1:2], Randomness(5, torch.tensor([9])), steps)[0], together[1])


def test_unknown_step() -> None:
    with pytest.raises(InvalidInput, match="there is no augmentation 'blur'; choose among crop, flip, jitter"):
        check_steps(["crop", "blur"])
