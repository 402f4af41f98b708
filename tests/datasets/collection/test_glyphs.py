import unicodedata
from collections import Counter

import numpy as np
import pytest

from fewshot.datasets import describe_dataset, load_dataset
from fewshot.datasets.collection.glyphs import FONTS
from fewshot.errors import InvalidInput


@pytest.fixture(scope="module")
def glyphs():
    return load_dataset("glyphs")


def test_hundreds_of_classes_in_a_dozen_fonts(glyphs):
    facts = describe_dataset("glyphs")
    assert (len(glyphs.class_names), len(glyphs)) == (facts["classes"], facts["items"])
    assert len(glyphs.class_names) > 1000
    assert int(glyphs.class_counts.min()) >= 12
    assert set(glyphs.groups["font"].names) == set(FONTS)
    assert {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "DIGIT"} <= set(glyphs.groups["alphabet"].names)


def test_ids_and_groups_tell_character_and_font(glyphs):
    font, alphabet = glyphs.groups["font"], glyphs.groups["alphabet"]
    for index in range(0, len(glyphs), 997):
        code, drawer = glyphs.ids[index].split("/")
        name = unicodedata.name(chr(int(code[2:], 16)))
        assert glyphs.class_names[glyphs.labels[index]] == name
        assert font.names[font.codes[index]] == drawer
        assert alphabet.names[alphabet.codes[index]] == name.split()[0]


def test_no_two_pictures_are_equal_and_none_is_blank(glyphs):
    seen = {}
    for index, (picture, label) in enumerate(glyphs):
        pixels = np.asarray(picture)
        assert pixels.min() < 128
        other = seen.setdefault(pixels.tobytes(), (index, label))
        assert other == (index, label), f"{glyphs.ids[index]} is drawn like {glyphs.ids[other[0]]}"


def test_letters_that_look_like_earlier_ones_are_left_out(glyphs):
    assert "LATIN CAPITAL LETTER A" in glyphs.class_names
    for twin in ("GREEK CAPITAL LETTER ALPHA", "CYRILLIC CAPITAL LETTER A", "MICRO SIGN"):
        assert twin not in glyphs.class_names


def test_black_ink_on_white_in_the_middle(glyphs):
    for index in range(0, len(glyphs), 211):
        pixels = np.asarray(glyphs[index][0])[..., 0]
        rows, columns = np.nonzero(pixels < 255)
        assert pixels.shape == (64, 64)
        assert abs(rows.min() - (63 - rows.max())) <= 1
        assert abs(columns.min() - (63 - columns.max())) <= 1


def test_digests_are_of_the_drawings(glyphs):
    assert len(set(glyphs.images.digests())) == len(glyphs)
    assert load_dataset("glyphs").fingerprint == glyphs.fingerprint


def test_options():
    all_fonts = load_dataset("glyphs", min_fonts=16, size=32)
    assert all_fonts.class_counts.unique().tolist() == [16]
    assert all_fonts[0][0].size == (32, 32)
    with pytest.raises(InvalidInput, match="min_fonts must be from 1 to 16, the fonts there are; found 17"):
        load_dataset("glyphs", min_fonts=17)
    with pytest.raises(InvalidInput, match="size must be at least 8 pixels; found 4"):
        load_dataset("glyphs", size=4)


def test_the_most_frequent_alphabet_is_latin(glyphs):
    alphabet = glyphs.groups["alphabet"]
    assert Counter(alphabet.names[code] for code in alphabet.codes.tolist()).most_common(1)[0][0] == "LATIN"
