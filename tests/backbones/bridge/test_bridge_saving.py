"""A bridge is what its towers and its join give by hand, and stays that when it is saved, loaded and registered."""

import json

import pytest
import torch
from conftest import make_eyes
from PIL import Image

from fewshot import create_backbone, create_learner
from fewshot.backbones import create_text_encoder, list_backbones
from fewshot.backbones.bridge import WAYS, Bridge, fit_bridge, register_bridge
from fewshot.backbones.bridge.naming import PAIRS, tower_names
from fewshot.embeddings import embed_images
from fewshot.errors import FingerprintMismatch, InvalidInput, UnknownName, UnreadableFile
from fewshot.zeroshot.text_classifier import build_words

TEXTS = ["some red thing", "blue", "a large green leaf"]


@pytest.fixture
def pictures():
    return [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue", "green", "black", "white")]


@pytest.fixture
def given(eyes):
    """Features of forty pictures and what they are called."""
    drawn = torch.Generator().manual_seed(2)
    shades = torch.randint(0, 256, (40, 3), generator=drawn).tolist()
    backbone = create_backbone(eyes, device="cpu", precision="float32")
    features = embed_images(backbone, [Image.new("RGB", (9, 9), tuple(shade)) for shade in shades])
    return features, [f"shade {''.join(chr(97 + part // 10) for part in shade)}" for shade in shades]


@pytest.fixture
def fitted(eyes, speller, given, three_words):
    """Gives the bridge of a way, with quick settings."""
    quick = {"contrastive": {"steps": 3}, "devise": {"steps": 3}}

    def fit(how):
        pairs = None if how in ("conse", "neighbours") else given
        return fit_bridge(eyes, speller, how, pairs, **quick.get(how, {}))

    return fit


@pytest.mark.parametrize("how", WAYS)
def test_halves_by_hand_saved_loaded_and_registered(fitted, eyes, speller, pictures, tmp_path, how):
    bridge = fitted(how)
    register_bridge(f"own:{how}", bridge)
    backbone = create_backbone(f"own:{how}", device="cpu", precision="float32")
    features = embed_images(create_backbone(eyes, device="cpu", precision="float32"), pictures)
    images, texts = embed_images(backbone, pictures), backbone.text(TEXTS)
    vectors = create_text_encoder(speller, device="cpu", precision="float32")(TEXTS)
    torch.testing.assert_close(images, bridge.join.image(features), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(texts, bridge.join.text(vectors), rtol=1e-5, atol=1e-6)
    assert images.shape[1] == texts.shape[1] == backbone.dim == backbone.text.dim
    assert (backbone.text.scale, bridge.how) == (bridge.scale, how)

    bridge.save(tmp_path / "saved")
    again = create_backbone(f"bridge:{tmp_path / 'saved'}", device="cpu", precision="float32")
    assert torch.equal(embed_images(again, pictures), images)
    assert torch.equal(again.text(TEXTS), texts)
    assert again.fingerprint == backbone.fingerprint
    assert again.text.fingerprint == backbone.text.fingerprint
    assert again.text.scale == bridge.scale
    assert Bridge.load(tmp_path / "saved").fingerprint == bridge.fingerprint


@pytest.mark.parametrize("how", ["kernel", "ridge", "contrastive"])
def test_features_before_the_projection_lead_to_the_space(fitted, pictures, how):
    register_bridge(f"tiny:before-{how}", fitted(how))
    whole = create_backbone(f"tiny:before-{how}", device="cpu")
    before = create_backbone(f"tiny:before-{how}", device="cpu", layers="pre-projection")
    features = embed_images(before, pictures)
    torch.testing.assert_close(features @ before.projection, embed_images(whole, pictures), rtol=1e-5, atol=1e-5)
    assert before.fingerprint != whole.fingerprint
    words = build_words(before, ["red", "blue"], "name", cache=False, progress=False)
    head = create_learner("prolip", epochs=2).fit(features[None, :2], torch.tensor([[0, 1]]), 2, words=words)
    assert head(features[None]).shape == (1, len(pictures), 2)


def test_a_way_without_a_projection(fitted):
    register_bridge("tiny:before-asif", fitted("asif"))
    with pytest.raises(InvalidInput, match="does not end with a linear projection"):
        create_backbone("tiny:before-asif", device="cpu", layers="pre-projection")


def test_the_fingerprint_tells_what_it_was_made_of(eyes, speller, given, three_words, monkeypatch):
    features, texts = given
    other = make_eyes("tiny:other-eyes", 5)
    made = [
        fit_bridge(eyes, speller, "ridge", given),
        fit_bridge(eyes, speller, "ridge", given, penalty=2.0),
        fit_bridge(eyes, speller, "asif", given),
        fit_bridge(eyes, speller, "ridge", (features + 1e-3, texts)),
        fit_bridge(eyes, speller, "ridge", (features, texts[::-1])),
        fit_bridge(other, speller, "ridge", given),
        fit_bridge(eyes, speller, "ridge"),
        fit_bridge(eyes, speller, "ridge", given, pretrained=False),
    ]
    assert fit_bridge(eyes, speller, "ridge", given).fingerprint == made[0].fingerprint
    monkeypatch.setattr("fewshot.backbones.bridge.fitting.RECIPE", 2)
    made.append(fit_bridge(eyes, speller, "ridge", given))
    assert len({bridge.fingerprint for bridge in made}) == len(made)
    assert {fit_bridge(eyes, speller).how, fit_bridge(eyes, speller, pairs=given).how} == {"kernel"}


def test_a_tower_of_another_fingerprint(fitted, tmp_path):
    bridge = fitted("ridge")
    bridge.save(tmp_path / "saved")
    manifest = json.loads((tmp_path / "saved" / "bridge.json").read_text())
    for half in ("image", "text"):
        changed = {**manifest, half: {**manifest[half], "fingerprint": "0123456789abcdef"}}
        (tmp_path / "saved" / "bridge.json").write_text(json.dumps(changed))
        with pytest.raises(
            FingerprintMismatch, match=r"saved was fitted with .* of fingerprint 0123456789abcdef, found"
        ):
            create_backbone(f"bridge:{tmp_path / 'saved'}", device="cpu")
    (tmp_path / "saved" / "bridge.json").write_text(json.dumps(manifest))
    assert Bridge.load(tmp_path / "saved", pretrained=False).fingerprint != bridge.fingerprint


def test_damaged_and_later_folders(fitted, tmp_path):
    folder = tmp_path / "saved"
    fitted("ridge").save(folder)
    content = (folder / "join.safetensors").read_bytes()
    manifest = json.loads((folder / "bridge.json").read_text())
    (folder / "join.safetensors").write_bytes(content[:-4] + b"\0\0\0\x3f")
    with pytest.raises(
        UnreadableFile, match=r"join.safetensors is not the file it was saved with; fit the bridge again"
    ):
        Bridge.load(folder)
    (folder / "join.safetensors").write_bytes(content[:100])
    with pytest.raises(UnreadableFile, match="is damaged .*fit the bridge again"):
        Bridge.load(folder)
    for change, message in (
        ({"version": 99}, "is of version 99, this fewshot reads up to 1: upgrade it"),
        ({"version": None}, "is not the manifest of a bridge"),
        ({"kind": "Unheard"}, "is damaged"),
    ):
        (folder / "bridge.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(UnreadableFile, match=message):
            Bridge.load(folder)
    del manifest["image"]
    (folder / "bridge.json").write_text(json.dumps(manifest))
    with pytest.raises(UnreadableFile, match="bridge.json has no 'image'"):
        Bridge.load(folder)
    with pytest.raises(UnreadableFile, match=r"is not a saved bridge: it has no bridge.json"):
        Bridge.load(tmp_path)


def test_a_name_that_is_taken(fitted):
    bridge = fitted("ridge")
    register_bridge("own:taken", bridge)
    with pytest.raises(InvalidInput, match="own:taken"):
        register_bridge("own:taken", bridge)


def test_pairs_that_do_not_go(eyes, speller, given):
    features, texts = given
    broken = features.clone()
    broken[3, 2] = torch.nan
    for pairs, message in (
        ((features[:9], texts[:9]), "needs 10 pairs or more, found 9"),
        ((broken, texts), "hold NaN or infinite values"),
        ((features, texts[1:]), r"found features of shape \(40, 12\) and 39 texts"),
        ((features[0], texts), r"found features of shape \(12,\) and 40 texts"),
        ((features[:, :5], texts), r"have 5 dimensions and those of tiny:eyes 12: embed the images with it"),
    ):
        with pytest.raises(InvalidInput, match=message):
            fit_bridge(eyes, speller, pairs=pairs)


def test_towers_and_ways_that_do_not_go(eyes, speller, blind_of_classes, given, three_words, monkeypatch):
    with pytest.raises(UnknownName, match="no way to join is called 'glue'; near: .*ridge"):
        fit_bridge(eyes, speller, "glue")
    with pytest.raises(InvalidInput, match="asif has no setting 'penalty'; its settings are k, power"):
        fit_bridge(eyes, speller, "asif", given, penalty=3)
    with pytest.raises(InvalidInput, match="tiny:headless has no classifier to take words from; pass pairs"):
        fit_bridge(blind_of_classes, speller)
    assert fit_bridge(blind_of_classes, speller, pairs=given).how == "kernel"
    with pytest.raises(InvalidInput, match="text half is a sentence: encoder, .* not 'open_clip:RN50'"):
        fit_bridge(eyes, "open_clip:RN50")
    layered = create_backbone(eyes, device="cpu", layers=-1)
    with pytest.raises(
        InvalidInput, match="made with weights made here and layers .*: enter it with register_backbone"
    ):
        fit_bridge(layered, speller)
    monkeypatch.undo()
    few = make_eyes("tiny:ten-classes", 1, 10)
    with pytest.raises(InvalidInput, match="known for the 1000 ImageNet classes and the classifier has 10; pass pairs"):
        fit_bridge(few, speller)


def test_names(eyes, speller, three_words):
    joined = create_backbone(f"bridge:{eyes}+{speller}/conse", device="cpu", precision="float32")
    assert joined.dim == joined.text.dim == 16
    assert create_backbone(f"bridge:{eyes}+{speller}", device="cpu", precision="float32").dim == 12
    with pytest.raises(UnknownName, match="'lite9'; near: lite0-minilm .*each with /how, or a folder that Bridge.save"):
        create_backbone("bridge:lite9")
    with pytest.raises(UnknownName, match="no way to join is called 'glue'"):
        create_backbone("bridge:lite0-minilm/glue")
    assert {f"bridge:lite0-minilm/{how}" for how in WAYS} < set(list_backbones("bridge:*", tags=True))
    assert list_backbones("bridge:*") == ["bridge:lite0-minilm"]


def test_a_folder_does_not_take_the_place_of_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lite0-minilm").mkdir()
    assert tower_names("lite0-minilm") == PAIRS["lite0-minilm"]
    with pytest.raises(UnreadableFile, match="lite0-minilm is not a saved bridge"):
        tower_names("./lite0-minilm")
