import numpy as np
import open_clip
import pytest
import torch

from fewshot import create_backbone
from fewshot.errors import InvalidInput
from fewshot.zeroshot import build_words, ensembles

NAMES = ["red", "green", "blue", "yellow", "white", "black"]
TEMPLATES = ["a photo of a {}.", "{}", "a bad photo of the {}.", "one large {} thing on a table"]


def vectors_of(joint, prompts) -> np.ndarray:
    """The vectors of texts (P, D), float64 of length 1, from open_clip's own model and tokenizer."""
    with torch.no_grad():
        found = joint.encode_text(open_clip.get_tokenizer("colour-clip")(prompts)).double().numpy()
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("templates", ["simple", "name", "imagenet", TEMPLATES])
def test_equals_open_clip(clip, joint, templates):
    """The published classifier (W columns), to 1e-6."""
    callables = {
        "simple": ["a photo of a {}."],
        "name": ["{}"],
        "imagenet": open_clip.OPENAI_IMAGENET_TEMPLATES,
    }.get(str(templates), templates)
    theirs = open_clip.build_zero_shot_classifier(joint, open_clip.get_tokenizer("colour-clip"), NAMES, callables)
    words = build_words(clip, NAMES, templates, progress=False)
    assert (words.vectors - theirs.T).abs().max() < 1e-6
    assert words.scale == pytest.approx(joint.logit_scale.exp().item())
    assert (words.names, words.backbone, words.encoder, words.bias) == (tuple(NAMES), clip.fingerprint, clip.text, 0)


def test_mean_weights_and_ragged_prompts_equal_the_formula(clip, joint):
    said = {"red": ["it is like blood", "warm"], "blue": "the sky"}
    words = build_words(clip, NAMES, TEMPLATES, said, synonyms={"white": "snow"}, progress=False)
    for row, name in enumerate(NAMES):
        called = [name, "snow"] if name == "white" else [name]
        prompts = [each.replace("{}", call) for call in called for each in TEMPLATES]
        described = said.get(name, [])
        prompts += [described] if isinstance(described, str) else described
        mean = vectors_of(joint, prompts).mean(0)
        assert np.abs(words.raw[row].numpy() - mean).max() < 1e-6
        assert np.abs(words.vectors[row].numpy() - mean / np.linalg.norm(mean)).max() < 1e-6
    weights = [0.5, 0, 2, 1]
    words = build_words(clip, NAMES, TEMPLATES, how=weights, keep_prompts=True, progress=False)
    for row, name in enumerate(NAMES):
        each = vectors_of(joint, [template.replace("{}", name) for template in TEMPLATES])
        assert np.abs(words.prompts[row].numpy() - each).max() < 1e-6
        assert np.abs(words.raw[row].numpy() - np.average(each, axis=0, weights=weights)).max() < 1e-6


@pytest.mark.parametrize("with_reference", [False, True])
def test_zpe_equals_the_formula(clip, joint, with_reference):
    """Allingham et al. 2023, algorithm 2, all logits at once in float64."""
    drawn = torch.Generator().manual_seed(3)
    images, reference = (torch.randn(count, 24, generator=drawn) for count in (30, 50))
    words = build_words(
        clip,
        NAMES,
        TEMPLATES,
        how="weighted",
        images=images,
        reference=reference if with_reference else None,
        progress=False,
    )
    text = np.stack([vectors_of(joint, [t.replace("{}", n) for n in NAMES]) for t in TEMPLATES])  # (P, W, D)
    image, general = ((x / x.norm(dim=1, keepdim=True)).double().numpy() for x in (images, reference))
    scale = joint.logit_scale.exp().item()
    logits = scale * np.einsum("nd,pwd->npw", image, text)
    usual = logits.mean(0)
    if with_reference:
        usual = (usual + scale * np.einsum("nd,pwd->npw", general, text).mean(0)) / 2
    scores = (logits - usual).max(2).mean(0)
    weights = np.exp(scores - scores.max())
    mean = np.average(text, axis=0, weights=weights)
    assert np.ptp(weights / weights.sum()) > 0.01
    assert np.abs(words.raw.numpy() - mean).max() < 1e-6


def test_a_few_texts_at_a_time_each_once(clip, monkeypatch):
    """Bounded memory: many small batches give the same vectors."""
    whole = build_words(clip, NAMES, TEMPLATES, cache=False, progress=False)
    sizes, texts = [], []

    class Watched(type(clip.text)):
        def __call__(self, given, batch_size=256, progress=False):
            sizes.append(len(given))
            texts.extend(given)
            return super().__call__(given, batch_size, progress)

    monkeypatch.setattr(ensembles, "_TEXTS", 7)
    monkeypatch.setattr(clip.text, "__class__", Watched)
    parts = build_words(clip, NAMES, TEMPLATES, cache=False, progress=False)
    assert sizes == [12, 12]
    assert len(set(texts)) == len(texts) == 24
    assert (parts.vectors - whole.vectors).abs().max() < 1e-6
    assert parts.prompts is None


def test_an_encoder_alone_and_one_class(clip):
    words = build_words(clip.text, ["{odd} name"], "a {}", progress=False)
    assert (words.names, words.backbone, words.vectors.shape) == (("{odd} name",), "", (1, 24))


def test_words_of_features_before_the_projection(clip, clip_file):
    before = create_backbone(clip_file, layers="pre-projection", device="cpu", precision="float32")
    words = build_words(before, NAMES, progress=False)
    assert words.projection is before.projection is not None
    assert words.dim == before.dim
    assert words.backbone == before.fingerprint != clip.fingerprint
    assert build_words(clip, NAMES, progress=False).projection is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"how": "median"}, "how must be 'mean', 'weighted' or a weight"),
        ({"how": "weighted"}, "looks at unlabelled images"),
        ({"how": "weighted", "images": torch.zeros(3, 5)}, r"features \(N, 24\), found \(3, 5\)"),
        ({"how": [1, 2]}, "weights must be 1 numbers"),
        ({"how": [-1]}, "weights must be 1 numbers"),
        ({"how": [1, 1], "descriptions": {"red": "warm"}}, "found 1 of 'black' and 2 of 'red'"),
        ({"keep_prompts": True, "descriptions": {"red": "warm"}}, "as many prompts of each class"),
    ],
)
def test_refused(clip, given, message):
    with pytest.raises(InvalidInput, match=message):
        build_words(clip, NAMES, progress=False, **given)


def test_a_backbone_without_words():
    with pytest.raises(InvalidInput, match="fewshot:raw-pixels has no text tower.* bridge:lite0-minilm or open_clip:"):
        build_words(create_backbone("fewshot:raw-pixels"), NAMES)
