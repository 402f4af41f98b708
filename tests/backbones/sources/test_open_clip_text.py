"""Text towers of open_clip's kinds against open_clip itself, on small models trained for a moment."""

import json
import shutil

import pytest
import torch
from clip_models import COLOURS, squares
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from fewshot.backbones import create_backbone, create_text_encoder
from fewshot.errors import FewshotWarning, InvalidInput, MissingPackage

open_clip = pytest.importorskip("open_clip")

TEXTS = ["red", "a photo of a green square.", "", "a blue one, seen from afar", "Red", "white, or so it seems to be"]
CUT = ("clip", "quickgelu", "custom-text", "resnet")
WHOLE = ("coca", "sigmoid", "two-way")


def backbone_of(folder, **settings):
    return create_backbone(f"open_clip:local-dir:{folder}", device="cpu", precision="float32", **settings)


@pytest.mark.parametrize("kind", [*CUT, *WHOLE])
def test_both_towers_are_those_of_open_clip(clip_folder, kind):
    folder = clip_folder(kind)
    theirs = open_clip.create_model(f"local-dir:{folder}").eval()
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
    ours = backbone_of(folder, optimize=False)
    images, _ = squares(1, seed=5)
    with torch.no_grad():
        torch.testing.assert_close(ours.text(TEXTS), theirs.encode_text(tokens, normalize=False), rtol=0, atol=2e-6)
        torch.testing.assert_close(ours(images), theirs.encode_image(images, normalize=False), rtol=0, atol=2e-6)
    assert ours.text.scale == pytest.approx(theirs.logit_scale.exp().item())
    assert ours.text.bias == pytest.approx(0.0 if theirs.logit_bias is None else float(theirs.logit_bias))
    assert ours.text.dim == ours.dim == 24


@pytest.mark.parametrize("kind", [*CUT, *WHOLE])
def test_texts_are_cut_only_where_that_changes_nothing(clip_folder, kind):
    encoder = create_text_encoder(f"open_clip:local-dir:{clip_folder(kind)}", device="cpu", precision="float32")
    tokens = encoder.tokenize(TEXTS)
    lengths = encoder.lengths(tokens)
    assert (lengths < tokens.shape[1]).any() == (kind in CUT)
    whole = normalize(encoder.module(tokens), dim=1)
    for row, length in enumerate(lengths.tolist()):
        cut = normalize(encoder.module(tokens[row : row + 1, :length]), dim=1)
        torch.testing.assert_close(cut[0], whole[row], rtol=0, atol=1e-6)
    torch.testing.assert_close(normalize(encoder(TEXTS, batch_size=2), dim=1), whole, rtol=0, atol=1e-6)


def test_a_trained_model_knows_its_colours(clip_folder):
    clip = backbone_of(clip_folder("clip"))
    images, labels = squares(4, seed=99)
    texts = normalize(clip.text([f"a photo of a {name}." for name in COLOURS]), dim=1)
    assert ((normalize(clip(images), dim=1) @ texts.T).argmax(1) == labels).float().mean() > 0.5


def test_canonical_text_has_neither_capitals_nor_points(clip_folder):
    sigmoid, clip = (backbone_of(clip_folder(kind)).text for kind in ("sigmoid", "clip"))
    first, second = "A photo, of_RED!", "a photo of red"
    assert torch.equal(*sigmoid([first, second]))
    assert not torch.allclose(*clip([first, second]))
    assert sigmoid.settings["clean"] == "canonicalize"


def test_too_long_texts_are_cut_as_open_clip_does_and_told(clip_folder):
    encoder = backbone_of(clip_folder("clip")).text
    long = "a red square " * 9
    expected = open_clip.get_tokenizer("tiny-clip")([long, "red"])
    with pytest.warns(FewshotWarning, match="1 of 2 texts are longer than the 16 tokens that open_clip:.* reads"):
        assert torch.equal(encoder.tokenize([long, "red"]), expected)


@pytest.mark.parametrize("kind", ["clip", "coca", "sigmoid"])
def test_features_before_the_projection(clip_folder, kind):
    folder = clip_folder(kind)
    whole, before = backbone_of(folder), backbone_of(folder, layers="pre-projection")
    images, _ = squares(1, seed=5)
    torch.testing.assert_close(before(images) @ before.projection, whole(images), rtol=0, atol=1e-5)
    assert torch.equal(before.projection, whole.projection)
    assert before.text is whole.text
    assert before.fingerprint != whole.fingerprint
    assert not torch.allclose(before(images) @ before.projection.roll(1, 0), whole(images), atol=1e-2)


def test_no_projection_and_no_text_are_told(clip_folder):
    folder = clip_folder("resnet")
    assert backbone_of(folder).projection is None
    with pytest.raises(
        InvalidInput, match=r"open_clip:local-dir:.* does not end with a linear projection without a bias"
    ):
        backbone_of(folder, layers="pre-projection")
    inside = backbone_of(clip_folder("clip"), layers=-1)
    assert inside.text is None
    assert inside.projection is None
    with pytest.raises(InvalidInput, match=r"timm:resnet18 has no text tower; name an open_clip: or bridge: backbone"):
        create_text_encoder("timm:resnet18", pretrained=False)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_checkpoint_file_brings_text_scale_and_bias(clip_folder, tmp_path, suffix):
    state = load_file(clip_folder("sigmoid") / "open_clip_model.safetensors")
    state |= {"logit_scale": torch.tensor([2.0]), "logit_bias": torch.tensor([-3.0])}  # as lists of one
    path = tmp_path / f"a{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    encoder = create_text_encoder(f"open_clip:tiny-sigmoid@{path}", device="cpu", precision="float32")
    assert encoder.scale == pytest.approx(7.389, abs=1e-3)
    assert encoder.bias == -3.0
    assert encoder.weights == str(path)
    theirs = backbone_of(clip_folder("sigmoid")).text
    torch.testing.assert_close(encoder(TEXTS), theirs(TEXTS), rtol=0, atol=1e-6)


def test_positions_of_another_length_are_refused(clip_folder, tmp_path):
    for file in clip_folder("clip").iterdir():
        shutil.copy(file, tmp_path)
    config = json.loads((tmp_path / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["context_length"] = 20  # open_clip would stretch the weights
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(
        InvalidInput, match=r"1 of another shape: positional_embedding \(16, 32\) instead of \(20, 32\)"
    ):
        backbone_of(tmp_path)


@pytest.fixture
def published(monkeypatch):
    """A model with a second name for QuickGELU, and a published file for it."""
    quick = {"url": "https://nowhere.org/tiny-400m.pt", "quick_gelu": True}
    monkeypatch.setattr("open_clip.list_pretrained", lambda: [("tiny-clip", "mine")])
    monkeypatch.setattr("open_clip.get_pretrained_cfg", lambda model, tag: quick)
    monkeypatch.setattr("open_clip.list_models", lambda: ["tiny-clip", "tiny-clip-quickgelu", "tiny-quickgelu"])
    from fewshot.backbones.sources import open_clip_weights

    open_clip_weights._published.cache_clear()
    yield quick
    open_clip_weights._published.cache_clear()


def test_a_file_known_to_need_quickgelu_names_the_model_that_has_it(clip_folder, tmp_path, published):
    state = load_file(clip_folder("clip") / "open_clip_model.safetensors")
    clip_folder("quickgelu")
    torch.save(state, tmp_path / "tiny-400m.pt")
    said = (
        r"tiny-400m.pt were trained with QuickGELU, and open_clip:tiny-clip computes GELU; name open_clip:tiny-clip-q"
    )
    with pytest.raises(InvalidInput, match=said):
        create_text_encoder(f"open_clip:tiny-clip@{tmp_path / 'tiny-400m.pt'}")
    create_text_encoder(f"open_clip:tiny-quickgelu@{tmp_path / 'tiny-400m.pt'}")


def test_openai_checkpoints_are_known_by_what_they_hold(clip_folder, tmp_path):
    state = load_file(clip_folder("clip") / "open_clip_model.safetensors")
    clip_folder("quickgelu")
    numbers = {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}
    torch.save(state | numbers, tmp_path / "mine.pt")
    with pytest.raises(
        InvalidInput, match=r"mine.pt were trained with QuickGELU, and open_clip:tiny-clip computes GELU; its"
    ):
        create_text_encoder(f"open_clip:tiny-clip@{tmp_path / 'mine.pt'}")
    create_text_encoder(f"open_clip:tiny-quickgelu@{tmp_path / 'mine.pt'}")


def test_a_tag_trained_with_gelu_is_no_weights_for_quickgelu(clip_folder, published):
    clip_folder("quickgelu")
    published["quick_gelu"] = False
    with pytest.raises(
        InvalidInput, match="the weights mine were trained with GELU, and open_clip:tiny-quickgelu comp"
    ):
        create_backbone("open_clip:tiny-quickgelu/mine")


def test_a_tokenizer_that_needs_a_package_is_told(clip_folder, monkeypatch):
    def missing(*_, **__):
        raise ImportError("No module named 'transformers'")

    monkeypatch.setattr("open_clip.get_tokenizer", missing)
    encoder = create_text_encoder("open_clip:tiny-clip", pretrained=False, seed=5, device="cpu")
    with pytest.raises(MissingPackage, match=r"the tokenizer of open_clip:tiny-clip needs the package transformers"):
        encoder(["red"])
