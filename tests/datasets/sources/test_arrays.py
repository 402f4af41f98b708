import numpy as np
import pytest

from fewshot.datasets.images import SelectedImages
from fewshot.datasets.sources.arrays import ArrayImages, PackedImages
from fewshot.errors import InvalidInput


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 3)])
def test_pictures_of_an_array(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images = ArrayImages(pixels)
    for index in range(4):
        picture = np.asarray(images[index])
        expected = pixels[index] if len(shape) == 4 else np.repeat(pixels[index][..., None], 3, axis=2)
        assert np.array_equal(picture, expected)
    assert len(set(images.digests())) == 4
    assert images.describe() == {"source": "array", "images": 4, "size": [5, 6]}


def test_equal_pictures_have_equal_digests():
    pixels = np.zeros((3, 2, 2), np.uint8)
    pixels[2, 0, 0] = 1
    first, second, third = ArrayImages(pixels).digests()
    assert first == second != third


def test_packed_pictures_have_black_ink_on_white():
    ink = np.random.default_rng(0).integers(0, 2, (3, 5, 7), dtype=np.uint8)
    images = PackedImages(np.packbits(ink.reshape(3, 35), axis=1), (5, 7))
    for index in range(3):
        assert np.array_equal(np.asarray(images[index])[..., 0], np.where(ink[index], 0, 255))
    assert images.describe() == {"source": "packed bits", "images": 3, "size": [5, 7]}


def test_a_selection_of_a_selection_looks_through_to_the_source():
    images = ArrayImages(np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8))
    chosen = SelectedImages(SelectedImages(images, [4, 2, 0]), [2, 0])
    assert chosen.base is images
    assert [np.asarray(chosen[index])[0, 0, 0] for index in range(2)] == [0, 4]
    assert chosen.digests() == [images.digest(0), images.digest(4)]
    assert chosen.describe()["selected"] == 2


@pytest.mark.parametrize("pixels", [np.zeros((2, 3, 3)), np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3, 4), np.uint8)])
def test_other_arrays_are_refused(pixels):
    with pytest.raises(InvalidInput, match=r"must be uint8 of shape \(N, H, W\) or \(N, H, W, 3\), not"):
        ArrayImages(pixels)


def test_bits_of_another_length_are_refused():
    with pytest.raises(
        InvalidInput, match=r"5 x 7 bits must be packed in 5 uint8 a row; found uint8 of shape \(2, 4\)"
    ):
        PackedImages(np.zeros((2, 4), np.uint8), (5, 7))
