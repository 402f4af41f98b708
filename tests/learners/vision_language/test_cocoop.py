"""CoCoOp on a small trained CLIP: prompts of each image's own, against a loop over the images."""

import copy
from dataclasses import replace

import pytest
import torch
from clip_models import COLOURS, squares
from torch.nn.functional import cross_entropy, normalize

from fewshot.backbones import create_backbone
from fewshot.errors import FewshotError
from fewshot.learners import Head, Words, create_learner
from fewshot.learners.vision_language import cocoop, prompts

NAMES = tuple(COLOURS)


@pytest.fixture(scope="module")
def clip(clip_folder):
    return create_backbone(f"open_clip:local-dir:{clip_folder('clip')}", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def words(clip) -> Words:
    vectors = normalize(clip.text([f"not in the least any kind of {name} thing" for name in NAMES]), dim=1)
    return Words(vectors, NAMES, clip.text.scale, encoder=clip.text)


def task(clip, shots: int, seed: int):
    images, labels = squares(shots, seed)
    return normalize(clip(images), dim=1)[None], labels[None]


@pytest.fixture(scope="module")
def head(clip, words) -> Head:
    support, labels = task(clip, 2, seed=1)
    return create_learner("cocoop", epochs=8, rate=0.01).fit(support, labels, 8, words=words)


def test_it_learns(clip, words, head):
    before = copy.deepcopy(clip.text.module.state_dict())
    support, labels = task(clip, 2, seed=1)
    query, query_labels = task(clip, 8, seed=2)
    start = create_learner("cocoop", epochs=1, rate=0.01).fit(support, labels, 8, words=words)
    assert cross_entropy(head(support)[0], labels[0]) < cross_entropy(start(support)[0], labels[0])
    zero_shot = create_learner("zero-shot").fit(support, labels, 8, words=words)
    right, by_words = ((each(query).argmax(-1) == query_labels).float().mean() for each in (head, zero_shot))
    assert right > by_words
    assert all(torch.equal(tensor, before[name]) for name, tensor in clip.text.module.state_dict().items())


def test_logits_are_those_of_a_loop_over_the_images(clip, head, monkeypatch):
    query, _ = task(clip, 1, seed=3)
    state = {name: head.state_dict()[name][0] for name in ("context", *cocoop._LAYERS)}
    tower = clip.text.module
    tokens = clip.text.tokenize([f"X X X X {name}." for name in NAMES])
    rows = []
    for feature in query[0]:
        inside = torch.relu(state["inside"] @ feature + state["inside_bias"])
        context = state["context"] + state["outside"] @ inside + state["outside_bias"]
        vectors = tower.token_embedding(tokens).clone()
        vectors[:, 1:5] = context
        texts = normalize(tower.encode(vectors, tokens.argmax(1)), dim=1)
        rows.append(clip.text.scale * texts @ feature)
    torch.testing.assert_close(head(query)[0], torch.stack(rows), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(cocoop, "_TEXTS_AT_ONCE", 20)  # two images at a time
    torch.testing.assert_close(head(query)[0], torch.stack(rows), rtol=1e-4, atol=1e-4)


def test_bfloat16_is_near_float32(clip, words):
    support, labels = task(clip, 2, seed=1)
    query, _ = task(clip, 2, seed=2)
    heads = [
        create_learner("cocoop", epochs=4, rate=0.01, precision=precision).fit(support, labels, 8, words=words)
        for precision in ("float32", "bfloat16")
    ]
    exact, rounded = (head(query).softmax(2) for head in heads)
    assert 1e-6 < float((exact - rounded).abs().mean()) < 0.02
    losses = [float(cross_entropy(head(support)[0], labels[0])) for head in heads]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_gradient_is_that_of_the_loss(clip, words):
    tower = copy.deepcopy(clip.text.module).double()
    prompt = prompts.write_prompts(clip.text, list(NAMES[:3]), 2, "cocoop")
    prompt = replace(prompt, tower=tower, vectors=prompt.vectors.double())
    features, labels = normalize(torch.randn(2, 24, dtype=torch.float64), dim=1), torch.tensor([2, 0])
    shapes = [(2, 32), (2, 24), (2,), (32, 2), (32,)]
    context, *network = [(0.3 * torch.randn(*shape, dtype=torch.float64)).requires_grad_() for shape in shapes]

    def loss(context, *network):
        own = cocoop.shifted(context, features, list(network))
        return prompts.prompt_loss(prompt.encode(own), features, labels, words)

    assert torch.autograd.gradcheck(loss, (context, *network), eps=1e-6, atol=1e-7, fast_mode=True)


def test_tasks_of_unequal_shape_are_padded(clip, words):
    support, labels = task(clip, 1, seed=1)
    learner = create_learner("cocoop", epochs=2)
    few = replace(words.of(torch.arange(8).expand(2, 8)), names=(*NAMES,))
    both = learner.fit(
        support.expand(2, -1, -1),
        torch.stack([labels[0], torch.where(labels[0] < 3, labels[0], -1)]),
        torch.tensor([8, 3]),
        words=few,
    )(support.expand(2, -1, -1))
    alone = learner.fit(support[:, :3], labels[:, :3], 3, words=words.select(NAMES[:3]))(support)
    torch.testing.assert_close(both[1:, :, :3], alone, rtol=1e-4, atol=1e-4)


def test_a_head_finds_its_encoder_by_fingerprint(clip, head, monkeypatch):
    query, _ = task(clip, 1, seed=3)
    monkeypatch.setattr(prompts, "_encoders", {})  # as in another process, where the encoder was loaded anew
    expected = head(query)
    monkeypatch.setattr("fewshot.backbones.loaded_text_encoders", list)
    with pytest.raises(
        FewshotError, match=f"needs the text encoder {clip.text.fingerprint}, and that is not in memory"
    ):
        head(query)
    prompts.remember(clip.text)
    assert torch.equal(head(query), expected)


def test_it_works_under_inference_mode(clip, words):
    support, labels = task(clip, 1, seed=1)
    learner = create_learner("cocoop", epochs=1)
    expected = learner.fit(support, labels, 8, words=words)(support)
    with torch.inference_mode():
        torch.testing.assert_close(learner.fit(support.clone(), labels, 8, words=words)(support), expected)
