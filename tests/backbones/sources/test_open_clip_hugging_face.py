"""open_clip's text towers with a tokenizer of Hugging Face, as SigLIP, SigLIP 2 and CLIPA have, against open_clip."""

import json
import random
import warnings
from typing import Any

import clip_models
import pytest
import torch
from torch.nn.functional import normalize

from fewshot.backbones import create_backbone, create_text_encoder
from fewshot.errors import FewshotWarning

open_clip = pytest.importorskip("open_clip")
pytest.importorskip("transformers", reason="needs the package transformers (extra: offline)")

CONTEXT = 16
LETTERS = "abcdefghijklmnopqrstuvwxyz"
CANONICAL = {"clean": "canonicalize"}
# what open_clip and the tokenizer are told: the signs, what stands around a text, and how text is cleaned
KINDS: dict[str, dict[str, Any]] = {
    "siglip": {"pad": "</s>", "eos": "</s>", "around": "$A </s>", "kwargs": CANONICAL},  # the end is also the padding
    "siglip2": {"pad": "<pad>", "eos": "<eos>", "around": "$A <eos>", "kwargs": CANONICAL},
    "clipa": {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "around": "[CLS] $A [SEP]",
              "kwargs": {"strip_sep_token": True}},
    "no-marks": {"pad": "<pad>", "around": "$A", "kwargs": CANONICAL},
    "clips": {"pad": "[PAD]", "bos": "[BOS]", "eos": "[EOS]", "cls": "[CLS]", "around": "$A", "kwargs": {},
              "mode": "clips"},
}  # fmt: skip
TOLD = [kind for kind in KINDS if kind != "clips"]  # where too long texts are counted
TEXTS = [
    "red",
    "a red square",
    "",
    "white or so it seems",
    *(
        " ".join(["red"] * count + ["blue"]) for count in (12, 13, 14, 15, 16)
    ),  # with marks up to the context, or beyond it
    "a green one, seen from afar, and then a blue one behind it",
    "  a   magenta\n square ",
    "naïve 7 ☂",
]


def write_tokenizer(folder, kind: dict[str, Any]) -> int:
    """A Unigram model of colours and letters that knows no capitals; gives the size of its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    signs = {f"{name}_token": kind[name] for name in ("pad", "bos", "eos", "cls", "sep") if name in kind}
    special = list(dict.fromkeys([*signs.values(), "<unk>"]))
    words = [f"▁{word}" for word in ("a", "square", *clip_models.COLOURS)]
    scores = dict.fromkeys(special, 0.0) | dict.fromkeys("▁" + LETTERS, -9.0) | dict.fromkeys(words, -3.0)
    tokens = Tokenizer(models.Unigram(list(scores.items()), unk_id=special.index("<unk>")))
    tokens.pre_tokenizer = pre_tokenizers.Metaspace()
    around = [(sign, special.index(sign)) for sign in kind["around"].split() if sign != "$A"]
    tokens.post_processor = processors.TemplateProcessing(kind["around"], None, around)
    PreTrainedTokenizerFast(tokenizer_object=tokens, unk_token="<unk>", **signs).save_pretrained(folder)
    return len(scores)


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    """A folder as open_clip saves it, tokenizer and all; open_clip also knows the model as tiny-hf-KIND."""
    folder = tmp_path_factory.mktemp(kind)
    text = {
        **clip_models.KINDS["sigmoid"]["text_cfg"],
        "vocab_size": write_tokenizer(folder, KINDS[kind]),
        "hf_tokenizer_name": str(folder),
        "tokenizer_kwargs": KINDS[kind]["kwargs"],
        "tokenizer_mode": KINDS[kind].get("mode"),
    }
    assert text["context_length"] == CONTEXT
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(clip_models.KINDS, f"hf-{kind}", {**clip_models.KINDS["sigmoid"], "text_cfg": text})
        return clip_models.trained_folder(f"hf-{kind}", folder, steps=0)


@pytest.fixture(scope="module")
def theirs(folder):
    return open_clip.create_model(f"local-dir:{folder}").eval()


@pytest.fixture(scope="module")
def tokenizer(folder):
    return open_clip.get_tokenizer(f"local-dir:{folder}")


@pytest.fixture
def encoder(kind, folder):
    """By the model's name, as released models are, so that the tokenizer is found by its own name."""
    name = f"open_clip:tiny-hf-{kind}@{folder / 'open_clip_model.safetensors'}"
    return create_text_encoder(name, device="cpu", precision="float32")


def real_length(tokenizer, text: str) -> int:
    """The number of tokens of a text that is not cut."""
    return len(tokenizer.tokenizer(tokenizer.clean_fn(text)).input_ids)


def quiet(encoder, texts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewshotWarning)
        return encoder(texts)


def test_vectors_are_those_of_open_clip(encoder, theirs, tokenizer):
    ours = normalize(quiet(encoder, TEXTS), dim=1)
    with torch.no_grad():
        expected = theirs.encode_text(tokenizer(TEXTS), normalize=True)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)
    assert (ours.dim(), encoder.context_length) == (2, CONTEXT)
    assert torch.cdist(ours[:4], ours[:4]).fill_diagonal_(1).min() > 0.01  # texts are told apart


@pytest.mark.parametrize("kind", TOLD, indirect=True)
def test_tokens_are_those_of_open_clip_and_cut_texts_are_counted(encoder, tokenizer):
    lengths = [real_length(tokenizer, text) for text in TEXTS]
    assert {CONTEXT - 1, CONTEXT, CONTEXT + 1} < set(lengths)
    cut = sum(length > CONTEXT for length in lengths)
    with pytest.warns(FewshotWarning, match=f"{cut} of {len(TEXTS)} texts are longer than the 16 tokens"):
        tokens = encoder.tokenize(TEXTS)
    assert torch.equal(tokens, tokenizer(TEXTS))
    fitting = [text for text, length in zip(TEXTS, lengths, strict=True) if length <= CONTEXT]
    assert torch.equal(encoder.tokenize(fitting), tokenizer(fitting))  # a warning would be an error


def test_a_text_is_the_same_in_any_company(encoder):
    together = normalize(quiet(encoder, TEXTS), dim=1)
    alone = normalize(torch.cat([quiet(encoder, [text]) for text in TEXTS]), dim=1)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["siglip", "siglip2", "clipa"], indirect=True)
def test_canonical_text_has_neither_capitals_nor_points(encoder, theirs, tokenizer, kind):
    first, second = "A RED, square!", "a red square"
    vectors = encoder([first, second])
    assert torch.equal(*vectors) == (KINDS[kind]["kwargs"] is CANONICAL)
    with torch.no_grad():
        expected = theirs.encode_text(tokenizer([first, second]), normalize=True)
    torch.testing.assert_close(normalize(vectors, dim=1), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["siglip2"], indirect=True)
def test_logits_have_the_scale_and_bias_of_open_clip(folder, theirs, tokenizer):
    ours = create_backbone(f"open_clip:local-dir:{folder}", device="cpu", precision="float32", optimize=False)
    images, _ = clip_models.squares(1, seed=5)
    texts = normalize(ours.text(["red", "a blue square"]), dim=1)
    with torch.no_grad():
        expected, _ = theirs.get_logits(images, tokenizer(["red", "a blue square"]))
    logits = ours.text.scale * normalize(ours(images), dim=1) @ texts.T + ours.text.bias
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    assert ours.text.bias == -10
    assert ours.text.settings["hf_tokenizer_name"] == str(folder)
    assert ours.text.settings["clean"] == "canonicalize"


def test_a_tokenizer_that_drops_tokens_at_random_is_left_to_it(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dropping")
    sigmoid = clip_models.KINDS["sigmoid"]
    text = {**sigmoid["text_cfg"], "tokenizer_kwargs": {"reduction_mask": "simple"}}
    (folder / "tiny-dropping.json").write_text(json.dumps({**sigmoid, "text_cfg": text}))
    open_clip.add_model_config(folder / "tiny-dropping.json")
    encoder = create_text_encoder("open_clip:tiny-dropping", pretrained=False, seed=1, device="cpu")
    tokenizer, texts = open_clip.get_tokenizer("tiny-dropping"), ["a red square", "a red square " * 9]
    random.seed(3)
    expected = tokenizer(texts)
    random.seed(3)
    assert torch.equal(encoder.tokenize(texts), expected)
