"""CoOp on a small trained CLIP: what training does, and the gradient through the text tower."""

from dataclasses import replace

import pytest
import torch
from clip_models import COLOURS, squares
from torch.nn.functional import cross_entropy, normalize

from fewshot.backbones import create_backbone, create_text_encoder
from fewshot.errors import FingerprintMismatch, InvalidInput
from fewshot.learners import Words, create_learner
from fewshot.learners.vision_language import prompts
from fewshot.learners.vision_language.coop import epochs_for

NAMES = tuple(COLOURS)


@pytest.fixture(scope="module")
def clip(clip_folder):
    return create_backbone(f"open_clip:local-dir:{clip_folder('clip')}", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def words(clip) -> Words:
    """Words of a prompt that nobody would write."""
    vectors = normalize(clip.text([f"not in the least any kind of {name} thing" for name in NAMES]), dim=1)
    return Words(vectors, NAMES, clip.text.scale, encoder=clip.text)


def task(clip, shots: int, seed: int):
    images, labels = squares(shots, seed)
    return normalize(clip(images), dim=1)[None], labels[None]


def accuracy(logits, labels) -> float:
    return float((logits.argmax(-1) == labels).float().mean())


@pytest.mark.parametrize(
    "settings", [{"context": 4}, {"template": "a photo of a"}, {"context": 2, "batch": 5}], ids=str
)
def test_learned_prompts_beat_a_bad_one(clip, words, settings):
    support, labels = task(clip, 2, seed=1)
    query, query_labels = task(clip, 8, seed=2)
    before = {name: tensor.clone() for name, tensor in clip.text.module.state_dict().items()}
    head = create_learner("coop", epochs=60, rate=0.02, **settings).fit(support, labels, 8, words=words)
    zero_shot = create_learner("zero-shot").fit(support, labels, 8, words=words)
    assert cross_entropy(head(support)[0], labels[0]) < cross_entropy(zero_shot(support)[0], labels[0])
    assert accuracy(head(query), query_labels) > accuracy(zero_shot(query), query_labels)
    assert all(torch.equal(tensor, before[name]) for name, tensor in clip.text.module.state_dict().items())
    assert not any(parameter.requires_grad for parameter in clip.text.module.parameters())


def test_more_epochs_lower_the_loss(clip, words):
    support, labels = task(clip, 2, seed=1)
    learners = [create_learner("coop", context=4, epochs=epochs, rate=0.01) for epochs in (1, 10, 40)]
    logits = [learner.fit(support, labels, 8, words=words)(support)[0] for learner in learners]
    losses = [float(cross_entropy(each, labels[0])) for each in logits]
    assert losses[0] > losses[1] > losses[2]


def test_bfloat16_is_near_float32(clip, words):
    support, labels = task(clip, 2, seed=1)
    prompt = prompts.write_prompts(clip.text, list(NAMES), 4, "coop")
    context = prompts.first_context(clip.text, "a photo of a", 0, 0, "coop")
    gradients = []
    for precision in ("float32", "bfloat16"):
        texts = prompt.encode(context, precision)
        assert texts.dtype == torch.float32
        loss = prompts.prompt_loss(texts, support[0], labels[0], words)
        gradients.append(torch.autograd.grad(loss, context)[0])
    apart = float((gradients[0] - gradients[1]).norm() / gradients[0].norm())
    assert 1e-6 < apart < 0.1
    found = [
        create_learner("coop", context=4, epochs=20, rate=0.01, precision=precision).fit(
            support, labels, 8, words=words
        )
        for precision in ("float32", "bfloat16")
    ]
    losses = [float(cross_entropy(head(support)[0], labels[0])) for head in found]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_the_template_itself_is_where_training_starts(clip):
    prompt = prompts.write_prompts(clip.text, list(NAMES), 4, "coop")
    context = prompts.first_context(clip.text, "a photo of a", 0, 0, "coop")
    written = normalize(clip.text([f"a photo of a {name}." for name in NAMES]), dim=1)
    torch.testing.assert_close(prompt.encode(context), written, rtol=1e-5, atol=1e-6)
    several = prompt.encode(torch.stack([context, context + 0.1]))
    assert several.shape == (2, 8, 24)
    torch.testing.assert_close(several[1], prompt.encode(context + 0.1), rtol=1e-5, atol=1e-6)


def test_the_gradient_is_that_of_the_loss(clip_folder, words):
    encoder = create_text_encoder(f"open_clip:local-dir:{clip_folder('clip')}", device="cpu", precision="float32")
    tower = replace_double(encoder)
    prompt = prompts.write_prompts(encoder, list(NAMES[:3]), 2, "coop")
    prompt = replace(prompt, tower=tower, vectors=prompt.vectors.double())
    features = normalize(torch.randn(5, 24, dtype=torch.float64), dim=1)
    labels = torch.tensor([0, 1, 2, 0, 1])

    def loss(context):
        return prompts.prompt_loss(prompt.encode(context), features, labels, words)

    context = 0.3 * torch.randn(2, 32, dtype=torch.float64)
    assert torch.autograd.gradcheck(loss, context.requires_grad_(), eps=1e-6, atol=1e-7)


def replace_double(encoder):
    """The tower in float64, apart from the shared one."""
    import copy

    return copy.deepcopy(encoder.module).double()


def test_the_loss_is_the_mean_log_loss_of_scaled_cosines(words):
    texts, features = (normalize(torch.randn(n, 6, dtype=torch.float64), dim=1) for n in (3, 4))
    labels, shifted = torch.tensor([0, 1, 2, 1]), replace(words, scale=7.0, bias=-2.0)
    logits = 7 * features @ texts.T - 2
    expected = torch.stack([logits[i].logsumexp(0) - logits[i, label] for i, label in enumerate(labels)]).mean()
    torch.testing.assert_close(prompts.prompt_loss(texts, features, labels, shifted), expected)
    own = texts.expand(4, 3, 6)
    torch.testing.assert_close(prompts.prompt_loss(own, features, labels, shifted), expected)


def test_tasks_have_their_own_classes(clip, words):
    support, labels = task(clip, 2, seed=1)
    chosen = [torch.tensor([0, 3, 5]), torch.tensor([7, 2, 1])]
    picked = torch.stack([torch.isin(labels[0], classes).nonzero()[:, 0] for classes in chosen])
    own = torch.stack(
        [(labels[0, items][:, None] == classes).int().argmax(1) for items, classes in zip(picked, chosen, strict=True)]
    )
    learner = create_learner("coop", context=3, epochs=3)
    together = learner.fit(support[0][picked], own, 3, words=words.of(torch.stack(chosen)))(support[0][picked])
    names = [NAMES[each] for each in chosen[1]]
    alone = learner.fit(support[0][picked[1:]], own[1:], 3, words=words.select(names))(support[0][picked[1:]])
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)


def test_it_works_under_inference_mode(clip, words):
    support, labels = task(clip, 1, seed=1)
    learner = create_learner("coop", context=2, epochs=3)
    expected = learner.fit(support, labels, 8, words=words)(support)
    with torch.inference_mode():
        torch.testing.assert_close(learner.fit(support.clone(), labels, 8, words=words)(support), expected)


def test_learned_words_stand_before_new_names(clip, clip_folder, words):
    support, labels = task(clip, 4, seed=1)
    query, query_labels = task(clip, 8, seed=2)
    base, new = words.select(NAMES[:4]), words.select(NAMES[4:])
    known, asked = labels[0] < 4, query_labels[0] >= 4
    learner = create_learner("coop", template="a photo of a", epochs=40, rate=0.02)
    head = learner.fit(support[:, known], labels[:, known], 4, words=base)
    found = head.for_words(new)(query[:, asked])
    prompt = prompts.write_prompts(clip.text, list(NAMES[4:]), head.context.shape[1], "coop")
    expected = words.scale * query[:, asked] @ prompt.encode(head.context[0]).mT
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    zero_shot = create_learner("zero-shot").fit(support[:, known], labels[:, known], 4, words=base).for_words(new)
    right, by_words = (accuracy(logits, query_labels[:, asked] - 4) for logits in (found, zero_shot(query[:, asked])))
    assert right > by_words, "what was learned of four colours helps with four others"
    coca = create_text_encoder(f"open_clip:local-dir:{clip_folder('coca')}", device="cpu", precision="float32")
    with pytest.raises(FingerprintMismatch, match="coop learned words for the text encoder .*, and these classes come"):
        head.for_words(replace(new, encoder=coca))


def test_the_rate_is_slow_first_and_falls_along_a_cosine(monkeypatch):
    rates = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))[1])
    weight = torch.ones(2, requires_grad=True)
    steps = prompts.minibatches(torch.rand(4, 3), batch=4, epochs=4, seed=0)
    prompts.descend(lambda items: weight.square().sum(), [weight], steps, rate=0.2, epochs=4)
    torch.testing.assert_close(
        torch.tensor(rates), torch.tensor([1e-5, 0.1 * (1 + 0.5**0.5), 0.1, 0.1 * (1 - 0.5**0.5)])
    )


def test_minibatches_see_every_item_once_an_epoch_in_an_order_of_their_content():
    features = torch.rand(7, 3)
    steps = list(prompts.minibatches(features, batch=3, epochs=2, seed=0))
    assert [len(items) for _, items in steps] == [3, 3, 1, 3, 3, 1]
    assert torch.cat([items for epoch, items in steps if epoch == 1]).sort().values.tolist() == list(range(7))
    order = torch.randperm(7)
    again = list(prompts.minibatches(features[order], batch=3, epochs=2, seed=0))
    assert all(torch.equal(features[order][b], features[a]) for (_, a), (_, b) in zip(steps, again, strict=True))


@pytest.mark.parametrize(("shots", "epochs"), [(1, 50), (2, 100), (4, 100), (8, 200), (16, 200)])
def test_epochs_are_those_of_the_paper(shots, epochs):
    assert epochs_for(shots) == epochs


def test_what_cannot_be_is_told(clip, clip_folder, words):
    support, labels = task(clip, 1, seed=1)
    with pytest.raises(
        InvalidInput, match=r"coop: 16 words of context and a class name do not fit into the 16 tokens of open_"
    ):
        create_learner("coop").fit(support, labels, 8, words=words)
    with pytest.raises(InvalidInput, match="coop writes prompts with the class names: make the words with names="):
        create_learner("coop", context=2).fit(support, labels, 8, words=replace(words, names=()))
    coca = create_text_encoder(f"open_clip:local-dir:{clip_folder('coca')}", device="cpu", precision="float32")
    with pytest.raises(InvalidInput, match="coop learns prompts as vectors, and open_clip:.* takes nothing but words"):
        create_learner("coop", context=2).fit(support, labels, 8, words=replace(words, encoder=coca))
    with pytest.raises(InvalidInput, match="coop trains prompts: it needs words that carry their text encoder"):
        create_learner("coop").fit(support, labels, 8, words=replace(words, encoder=None))
