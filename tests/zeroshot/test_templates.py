import json

import open_clip
import pytest

from fewshot.errors import InvalidInput, MissingData, UnknownName
from fewshot.zeroshot import clean_name, list_templates, published_classes, template_set


def test_sets_by_name():
    assert template_set("simple").fill("dog") == ["a photo of a dog."]
    assert template_set("name").fill("dog") == ["dog"]
    assert template_set("imagenet").fill("dog") == [each("dog") for each in open_clip.OPENAI_IMAGENET_TEMPLATES]
    assert len(template_set("imagenet-simple").templates) == 7
    with pytest.raises(UnknownName, match="no template set is called 'simpel'; near: simple"):
        template_set("simpel")


def test_own_templates():
    own = template_set(["a {}", "{} here"])
    assert own.fill("cat") == ["a cat", "cat here"]
    assert own.name == template_set(("a {}", lambda name: f"{name} here")).name != template_set("a {}").name
    assert template_set("a {}").fill("cat") == ["a cat"]
    assert template_set(None).fill("cat") == []
    assert own.describe() == {"name": own.name, "count": 2, "fingerprint": own.name.removeprefix("own-")}
    assert template_set(own) is own


def test_braces_in_class_names_stay():
    assert template_set("a {}.").fill("{x} {} {{") == ["a {x} {} {{."]


@pytest.mark.parametrize("wrong", ["a photo", "a {} of a {}", "a {0}", 3])
def test_a_template_holds_the_name_once(wrong):
    with pytest.raises(InvalidInput, match=r"must hold \{\} once"):
        template_set([wrong])
    with pytest.raises(InvalidInput, match="must give text, found 2"):
        template_set([lambda name: 2])


def test_published_sets(shared_data):
    written = json.loads((shared_data / "clip_prompts" / "clip_prompts.json").read_text())
    assert {f"openai:{name}" for name in written} < set(list_templates())
    for name, found in written.items():
        assert template_set(f"openai:{name}").templates == tuple(found["templates"])
        assert len(published_classes(name)) == len(found["classes"])
    assert template_set("openai:cifar100").fill("lion")[1] == "a blurry photo of a lion."
    assert published_classes("CIFAR100")["aquarium fish"] == ("aquarium fish",)
    assert max(map(len, published_classes("FacialEmotionRecognition2013").values())) > 1
    with pytest.raises(UnknownName, match="CIFAR100"):
        template_set("openai:CIFAR1000")


def test_published_sets_where_the_folder_lacks_them(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="set FEWSHOT_DATA"):
        template_set("openai:CIFAR100")
    assert list_templates() == ["name", "simple", "imagenet", "imagenet-simple"]
    with pytest.raises(UnknownName, match="'simpel'"):
        template_set("simpel")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Golden-Delicious", "Golden Delicious"),
        ("ice_cream", "ice cream"),
        ("bird-of-paradise", "bird of paradise"),
        ("hard-leaved pocket orchid", "hard-leaved pocket orchid"),
        ("T-shirt", "T-shirt"),
        ("DC-10", "DC-10"),
        ("707-320", "707-320"),
        ("grüne-äpfel", "grüne äpfel"),
        ("_odd_", "odd"),
    ],
)
def test_clean_name(name, clean):
    assert clean_name(name) == clean
