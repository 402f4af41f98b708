from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from fewshot.datasets.decoding import decode
from fewshot.errors import BrokenImages


def saved(picture, form="PNG", **settings):
    file = BytesIO()
    picture.save(file, form, **settings)
    return file.getvalue()


def pixels_of(content):
    picture = decode(content, "a/1.png", "pictures")
    assert picture.mode == "RGB"
    return np.asarray(picture)


def test_rgb_comes_through_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(pixels_of(saved(Image.fromarray(pixels))), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_obeyed(orientation):
    upright = np.arange(2 * 3, dtype=np.uint8).reshape(2, 3) * 40
    # what a camera held that way stores, from the meaning of the tag (TIFF 6.0, tag 274)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    assert np.array_equal(pixels_of(saved(Image.fromarray(stored), exif=exif))[..., 0], upright)


def test_transparency_is_laid_on_white():
    picture = Image.new("RGBA", (3, 1), (200, 0, 0, 255))
    picture.putpixel((1, 0), (200, 0, 0, 0))
    picture.putpixel((2, 0), (200, 0, 0, 128))
    expected = [[200, 0, 0], [255, 255, 255], [round(200 * 128 / 255 + 255 * 127 / 255), 127, 127]]
    assert np.abs(pixels_of(saved(picture))[0].astype(int) - expected).max() <= 1


def test_grey_with_transparency_and_transparent_colours():
    grey = Image.new("LA", (1, 1), (10, 0))
    keyed = Image.new("RGB", (2, 1), (1, 2, 3))
    keyed.putpixel((1, 0), (9, 9, 9))
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([50, 60, 70])
    assert pixels_of(saved(grey))[0, 0].tolist() == [255, 255, 255]
    assert pixels_of(saved(keyed, transparency=(1, 2, 3)))[0].tolist() == [[255, 255, 255], [9, 9, 9]]
    assert pixels_of(saved(palette))[0, 0].tolist() == [50, 60, 70]
    assert pixels_of(saved(palette, transparency=0))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled(form):
    deep = np.array([[0, 128, 257, 32896, 65535]], dtype=np.uint16)
    expected = np.round(deep[0] / 257).astype(int).tolist()
    assert pixels_of(saved(Image.fromarray(deep), form))[0, :, 0].tolist() == expected


def test_one_bit_grey_and_cmyk():
    assert pixels_of(saved(Image.new("1", (1, 1), 1)))[0, 0].tolist() == [255, 255, 255]
    assert pixels_of(saved(Image.new("L", (1, 1), 77)))[0, 0].tolist() == [77, 77, 77]
    red = pixels_of(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))
    assert red[0, 0].tolist() == [255, 0, 0]


def test_the_first_picture_of_a_moving_one():
    frames = [Image.new("L", (2, 2), value) for value in (30, 200)]
    assert pixels_of(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))[0, 0, 0] == 30


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_files_cut_short_are_named(picture_file, form, kept):
    whole = picture_file(1, form, (60, 50))
    with pytest.raises(BrokenImages, match=r"pictures: 1 images cannot be read: cat/1.png") as caught:
        decode(whole[: int(kept * len(whole))], "cat/1.png", "pictures")
    assert caught.value.names == ("cat/1.png",)


@pytest.mark.parametrize("content", [b"", b"plain text", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"GIF89a", b"\xff\xd8\xff"])
def test_other_files_are_named(content):
    with pytest.raises(BrokenImages, match="cat/1.png"):
        decode(content, "cat/1.png", "pictures")
