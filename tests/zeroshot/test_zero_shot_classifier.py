import numpy as np
import pytest
import torch

from fewshot import EmbeddingTable, ZeroShotClassifier, create_backbone
from fewshot.embeddings import embed_images
from fewshot.errors import BrokenImages, FingerprintMismatch, InvalidInput
from fewshot.metrics import temperature_scaling
from fewshot.zeroshot import BACKGROUND

NAMES = ["red", "green", "blue", "yellow", "white", "black"]


@pytest.fixture
def colours(clip):
    return ZeroShotClassifier(clip, NAMES, progress=False)


def expected(joint, clip, images, names=NAMES):
    """CLIP's own probabilities, from its own model in float64."""
    import open_clip

    with torch.no_grad():
        text = joint.encode_text(open_clip.get_tokenizer("colour-clip")([f"a photo of a {n}." for n in names]), True)
        vision = joint.encode_image(torch.stack([clip.preprocess(image) for image in images]), True)
        return (joint.logit_scale.exp().double() * vision.double() @ text.double().T).numpy()


def softmax(logits):
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def test_predicts_raw_images_as_clip_does(colours, clip, joint, draw):
    images, names = draw(3, seed=7)
    logits = expected(joint, clip, images)
    np.testing.assert_allclose(colours.predict_proba(images), softmax(logits), atol=1e-5)
    assert colours.predict(images).tolist() == names
    assert colours.score(images, names) == 1
    assert colours.classes_.tolist() == NAMES
    assert colours.templates_["name"] == "simple"


def test_paths_arrays_features_and_tables_agree(colours, clip, draw, tmp_path):
    images, names = draw(1, seed=8)
    chances = colours.predict_proba(images)
    paths = [tmp_path / f"{name}.png" for name in names]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    features = embed_images(clip, images)
    table = EmbeddingTable(features, torch.arange(6), tuple(names), tuple(names), backbone=clip.fingerprint)
    for given in (
        paths,
        [str(path) for path in paths],
        [np.array(i) for i in images],
        features,
        3 * features.numpy(),
        table,
    ):
        np.testing.assert_allclose(colours.predict_proba(given), chances, atol=1e-6)
    assert colours.predict_proba([]).shape == (0, 6)


def test_top_k(colours, draw):
    images, _ = draw(1, seed=9)
    chances = colours.predict_proba(images)
    found = colours.top_k(images, 2)
    for row, best in zip(chances, found, strict=True):
        order = sorted(range(6), key=lambda c: -row[c])[:2]
        assert best == [(NAMES[c], pytest.approx(row[c])) for c in order]
    assert [len(best) for best in colours.top_k(images, 9)] == [6] * 6


def test_temperature_and_abstaining(clip, joint, draw):
    images, _ = draw(4, seed=10, most=90)
    told = ZeroShotClassifier(clip, NAMES, temperature=5.0, abstain=0.5, progress=False)
    chances = softmax(expected(joint, clip, images) / 5)
    np.testing.assert_allclose(told.predict_proba(images), chances, atol=1e-5)
    predicted = told.predict(images)
    assert 0 < (predicted == "").sum() < len(images)
    assert ((predicted == "") == (chances.max(1) < 0.5)).all()


def test_calibrate_fits_the_temperature(colours, clip, joint, draw):
    images, names = draw(12, seed=11, most=110)
    found = colours.calibrate(images, names)
    labels = torch.tensor([NAMES.index(name) for name in names])
    logits = torch.from_numpy(expected(joint, clip, images))
    assert found.temperature == pytest.approx(temperature_scaling(logits, labels), rel=1e-3)
    assert found.ece_after < found.ece_before
    np.testing.assert_allclose(colours.predict_proba(images), softmax(logits.numpy() / found.temperature), atol=1e-4)
    assert found.to_json()["items"] == 72


def test_several_labels(clip, joint, draw):
    images, names = draw(12, seed=12, most=60)
    targets = np.array([[name == other for other in NAMES] for name in names])
    many = ZeroShotClassifier(clip, NAMES, multi_label=True, progress=False)
    with pytest.raises(InvalidInput, match=r"has no bias to judge each by itself; .* calibrate\(images, labels\)"):
        many.predict(images)
    found = many.calibrate(images, targets)
    chances = many.predict_proba(images)
    logits = expected(joint, clip, images)
    np.testing.assert_allclose(chances, 1 / (1 + np.exp(-logits / found.temperature - found.bias)), atol=1e-4)
    assert (many.predict(images) == (chances >= 0.5)).all()
    assert many.score(images, targets) > 0.9
    assert abs(chances.mean() - targets.mean()) < 0.02
    told = ZeroShotClassifier(
        clip, ["red"], multi_label=True, temperature=2.0, bias=-3.0, threshold=0.1, progress=False
    )
    one = 1 / (1 + np.exp(-logits[:, :1] / 2 + 3))
    np.testing.assert_allclose(told.predict_proba(images), one, atol=1e-5)
    assert (told.predict(images) == (one >= 0.1)).all()


def test_a_model_with_a_bias_judges_each_class_by_itself(clip, joint, draw, monkeypatch):
    """As SigLIP: the sigmoid of scale f·t + bias."""
    monkeypatch.setattr(clip.text, "bias", -6.0)
    images, _ = draw(1, seed=13)
    chances = ZeroShotClassifier(clip, NAMES, multi_label=True, progress=False).predict_proba(images)
    np.testing.assert_allclose(chances, 1 / (1 + np.exp(6 - expected(joint, clip, images))), atol=1e-5)


def test_background_and_one_class(clip, draw):
    images, _ = draw(2, seed=14)
    reds = ZeroShotClassifier(clip, ["red"], background=NAMES[1:], progress=False)
    assert reds.classes_.tolist() == ["red", BACKGROUND]
    assert reds.predict(images[:1]).tolist() == ["red"]
    assert reds.predict(images[2:3]).tolist() == [BACKGROUND]
    with pytest.raises(InvalidInput, match="one class alone, 'red', would be the answer to every image"):
        ZeroShotClassifier(clip, ["red"], progress=False)


def test_features_before_the_projection_give_the_same(colours, clip, clip_file, draw):
    before = create_backbone(clip_file, layers="pre-projection", device="cpu", precision="float32")
    images, _ = draw(1, seed=15)
    chances = ZeroShotClassifier(before, NAMES, progress=False).predict_proba(images)
    np.testing.assert_allclose(chances, colours.predict_proba(images), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"classnames": []}, "a list of one name or more"),
        ({"classnames": ["red", "red"]}, "two classes are called 'red'"),
        ({"templates": ["a photo"]}, r"must hold \{\} once"),
        ({"temperature": 0}, "temperature must be above zero, found 0"),
        ({"bias": -3}, "bias is for multi_label=True"),
        ({"abstain": 2}, "abstain is a probability, found 2"),
    ],
)
def test_refused_arguments(clip, given, message):
    with pytest.raises(InvalidInput, match=message):
        ZeroShotClassifier(clip, **{"classnames": NAMES, "progress": False, **given})


def test_refused_images(colours, clip, draw, tmp_path):
    images, names = draw(2, seed=16)
    with pytest.raises(InvalidInput, match="put it into a list"):
        colours.predict("photo.png")
    with pytest.raises(BrokenImages, match=r"missing\.png"):
        colours.predict([tmp_path / "missing.png"])
    with pytest.raises(InvalidInput, match=r"floats \(N, 24\) of the words' backbone, found float32 of shape \(2, 5\)"):
        colours.predict(torch.zeros(2, 5))
    with pytest.raises(InvalidInput, match="NaN"):
        colours.predict(torch.full((1, 24), torch.nan))
    table = EmbeddingTable(torch.zeros(1, 24), torch.tensor([0]), ("red",), ("x",), backbone="another")
    with pytest.raises(FingerprintMismatch, match="another"):
        colours.predict(table)
    with pytest.raises(InvalidInput, match="with 'purple' among them"):
        colours.calibrate(images, ["purple", *names[1:]])
    with pytest.raises(InvalidInput, match="5 labelled items or more, found 3"):
        colours.calibrate(images[:3], names[:3])
    with pytest.raises(InvalidInput, match="score needs labels"):
        colours.score(images, names[1:])
    with pytest.raises(InvalidInput, match="k must be 1 or more"):
        colours.top_k(images, 0)
    with pytest.raises(InvalidInput, match="has no text tower"):
        ZeroShotClassifier(create_backbone("fewshot:raw-pixels"), NAMES)
