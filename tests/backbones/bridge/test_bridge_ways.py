"""Each way to join against loops in float64, written from its formula, and what its settings may be."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import KernelCenterer
from torch.nn.functional import normalize

from fewshot.backbones.bridge import WAYS
from fewshot.backbones.bridge.asif import fit_asif
from fewshot.backbones.bridge.conse import fit_conse
from fewshot.backbones.bridge.contrastive import contrastive_loss, fit_contrastive
from fewshot.backbones.bridge.devise import fit_devise, hinge_ranking
from fewshot.backbones.bridge.fitting import fit_scale
from fewshot.backbones.bridge.kernel import fit_kernel
from fewshot.backbones.bridge.neighbours import fit_neighbours
from fewshot.backbones.bridge.ridge import fit_ridge, ridge_map
from fewshot.backbones.bridge.settings import check_names
from fewshot.errors import InvalidInput


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True)


@pytest.fixture
def images():
    return torch.randn(7, 6, dtype=torch.float64) + 2


@pytest.fixture
def texts():
    """Text vectors that are not of length 1."""
    return 3 * torch.randn(4, 5, dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 3, 40, 90])
def test_conse_is_a_convex_combination(pairs, images, texts, k):
    """Norouzi et al. 2014, eq. 2, with centred class vectors."""
    join = fit_conse(pairs, k)
    centred = pairs.vectors.numpy() - pairs.vectors.numpy().mean(0)
    chances = softmax(images.numpy() @ pairs.weight.numpy().T + pairs.bias.numpy())
    for row, expected in zip(join.image(images).numpy(), chances, strict=True):
        best = sorted(range(40), key=lambda c: -expected[c])[:k]
        mean = sum(expected[c] * centred[c] for c in best) / sum(expected[c] for c in best)
        np.testing.assert_allclose(row, mean, rtol=1e-9)
    np.testing.assert_allclose(join.text(texts), unit(texts.numpy()) - pairs.vectors.numpy().mean(0), rtol=1e-9)


@pytest.mark.parametrize(("k", "power"), [(1, 1.0), (3, 8.0), (4, 2.0)])
def test_asif_keeps_the_nearest_anchors(pairs, images, texts, k, power):
    """Norelli et al. 2023, section 2: cosines to the anchors, the k largest, to the power p with their sign."""
    join = fit_asif(pairs, k, power)
    assert join.k == k
    for found, vectors, anchors in (
        (join.image(images - 2), images - 2, pairs.features),
        (join.text(texts), texts, pairs.vectors),
    ):
        for row, vector in zip(found.numpy(), vectors.numpy(), strict=True):
            cosines = unit(anchors.numpy()) @ unit(vector)
            expected = np.zeros(40)
            for place in np.argsort(-cosines)[:k]:
                expected[place] = np.sign(cosines[place]) * abs(cosines[place]) ** power
            np.testing.assert_allclose(row, expected, rtol=1e-9)
    assert fit_asif(pairs).k == 4, "a tenth of few pairs"


@pytest.mark.parametrize("wide", [False, True])
def test_ridge_equals_scikit_learn(wide):
    inputs, targets = torch.randn(30, 60 if wide else 8, dtype=torch.float64), torch.randn(30, 3, dtype=torch.float64)
    theirs = Ridge(alpha=0.7, fit_intercept=False, solver="svd").fit(inputs, targets)
    np.testing.assert_allclose(ridge_map(inputs, targets, 0.7).numpy(), theirs.coef_.T, rtol=1e-8)


def test_ridge_between_centred_sides(pairs, images, texts):
    features, vectors = pairs.features.numpy(), pairs.vectors.numpy()
    there = fit_ridge(pairs, 0.5)
    model = Ridge(alpha=0.5, solver="svd").fit(vectors, features)
    np.testing.assert_allclose(there.text(texts), model.predict(unit(texts.numpy())) - features.mean(0), rtol=1e-7)
    np.testing.assert_allclose(there.image(images), images.numpy() - features.mean(0), rtol=1e-9)
    back = fit_ridge(pairs, 0.5, "image-to-text")
    size = np.sqrt(((features - features.mean(0)) ** 2).sum(1).mean())
    model = Ridge(alpha=0.5, solver="svd").fit(features / size, vectors)
    np.testing.assert_allclose(back.image(images), model.predict(images.numpy() / size) - vectors.mean(0), rtol=1e-7)
    np.testing.assert_allclose(back.text(texts), unit(texts.numpy()) - vectors.mean(0), rtol=1e-9)


@pytest.mark.parametrize(("sharpness", "penalty"), [(5.0, 0.3), (0.5, 2.0), (20.0, 0.01)])
def test_kernel_equals_scikit_learn(pairs, images, texts, sharpness, penalty):
    """Kernel ridge regression on Gaussian kernels of the distance, both sides centred."""
    features, vectors = pairs.features.numpy(), pairs.vectors.numpy()
    centring = KernelCenterer()
    gram = centring.fit_transform(rbf_kernel(vectors, gamma=sharpness / 2))
    model = KernelRidge(alpha=penalty, kernel="precomputed").fit(gram, features - features.mean(0))
    expected = model.predict(centring.transform(rbf_kernel(unit(texts.numpy()), vectors, gamma=sharpness / 2)))
    join = fit_kernel(pairs, sharpness, penalty)
    np.testing.assert_allclose(join.text(texts), expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(join.image(images), images.numpy() - features.mean(0), rtol=1e-9)


def test_kernel_bounds_its_memory(monkeypatch, pairs):
    monkeypatch.setattr("fewshot.backbones.bridge.kernel._MOST", 30)
    with pytest.raises(InvalidInput, match="kernel takes 30 pairs or fewer, found 40; take 'ridge' or a part"):
        fit_kernel(pairs)


@pytest.mark.parametrize("sharpness", [40.0, 3.0])
def test_neighbours_are_shares_of_the_classes(pairs, images, texts, sharpness):
    join = fit_neighbours(pairs, sharpness)
    chances = softmax(images.numpy() @ pairs.weight.numpy().T + pairs.bias.numpy())
    np.testing.assert_allclose(join.image(images), chances, rtol=1e-9)
    shares = softmax(sharpness * unit(texts.numpy()) @ pairs.vectors.numpy().T)
    np.testing.assert_allclose(join.text(texts), shares, rtol=1e-9)


def test_devise_loss_and_gradient_equal_a_loop():
    """Frome et al. 2013, eq. 1: the sum over wrong texts of max(0, margin - own + other), and its derivative."""
    features, weight = torch.randn(6, 4, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    texts = torch.randn(6, 3, dtype=torch.float64)
    texts[4] = texts[1]
    same = torch.eye(6, dtype=torch.bool)
    same[1, 4] = same[4, 1] = True
    total, slope = 0.0, np.zeros((4, 3))
    for i in range(6):
        mapped = features[i].numpy() @ weight.numpy()
        for j in range(6):
            if j == i or {i, j} == {1, 4}:
                continue
            difference = texts[j].numpy() - texts[i].numpy()
            loss = 0.3 + mapped @ difference
            if loss > 0:
                total += loss / 6
                slope += np.outer(features[i].numpy(), difference) / 6
    weight.requires_grad_()
    loss = hinge_ranking(features @ weight, texts, same, 0.3)
    loss.backward()
    assert loss.item() == pytest.approx(total, rel=1e-10)
    np.testing.assert_allclose(weight.grad.numpy(), slope, rtol=1e-9)


def test_devise_training_lowers_its_loss(pairs):
    texts = normalize(pairs.vectors - pairs.vectors.mean(0), dim=1)
    own = torch.eye(40, dtype=torch.bool)
    losses = [
        float(hinge_ranking(fit_devise(pairs, margin=0.3, steps=steps).image(pairs.features), texts, own, 0.3))
        for steps in (0, 20, 200)
    ]
    assert losses[0] > losses[1] > losses[2]
    start = fit_ridge(pairs, 1.0, "image-to-text")
    ours, theirs = (join.image(pairs.features) for join in (fit_devise(pairs, steps=0), start))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_contrastive_loss_equals_a_loop():
    """Symmetric InfoNCE: the mean of -log of the share of the own text among all, and of the own image."""
    images, texts = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    cosines = 4 * unit(images.numpy()) @ unit(texts.numpy()).T
    own = sum(np.log(softmax(cosines)[i, i]) + np.log(softmax(cosines.T)[i, i]) for i in range(5))
    assert float(contrastive_loss(images, texts, torch.tensor(4.0))) == pytest.approx(-own / 10, rel=1e-9)


def test_contrastive_training_finds_the_pairs_and_repeats(pairs):
    join = fit_contrastive(pairs, dim=5, steps=200, rate=0.01)
    cosines = normalize(join.image(pairs.features), dim=1) @ normalize(join.text(pairs.vectors), dim=1).T
    untrained = fit_contrastive(pairs, dim=5, steps=1, rate=1e-9)
    before = normalize(untrained.image(pairs.features), dim=1) @ normalize(untrained.text(pairs.vectors), dim=1).T
    own = torch.arange(40)
    assert (cosines.argmax(1) == own).double().mean() > 0.8
    assert (before.argmax(1) == own).double().mean() < 0.3
    again = fit_contrastive(pairs, dim=5, steps=200, rate=0.01)
    assert (
        again.fingerprint == join.fingerprint != fit_contrastive(pairs, dim=5, steps=200, rate=0.01, seed=1).fingerprint
    )


@pytest.mark.parametrize("how", ["conse", "ridge", "kernel", "neighbours", "asif"])
def test_the_scale_fits_held_out_pairs(pairs, how):
    """Of the scales tried, that with the lowest cross-entropy on every fifth pair; a finer search finds none better."""
    rows = torch.arange(40)
    join, held = WAYS[how](pairs.select(rows[rows % 5 != 0])), pairs.select(rows[rows % 5 == 0])
    cosines = unit(join.image(held.features).numpy()) @ unit(join.text(held.vectors).numpy()).T

    def loss(scale):
        return -np.log(softmax(scale * cosines).diagonal()).mean()

    found = fit_scale(pairs, how, {})
    assert 1 <= found <= 100
    assert loss(found) <= min(loss(scale) for scale in np.geomspace(1, 100, 500)) + 1e-3


@pytest.mark.parametrize(
    ("how", "settings", "message"),
    [
        ("asif", {"k": 0}, "asif: k must be a whole number of 1 or more, found 0"),
        ("asif", {"power": 0.0}, "asif: power must be a number above zero, found 0.0"),
        ("conse", {"k": 2.5}, "conse: k must be a whole number of 1 or more, found 2.5"),
        ("contrastive", {"dim": 0}, "contrastive: dim must be a whole number of 1"),
        ("contrastive", {"steps": "many"}, "steps must be a whole number of 1 or more, found 'many'"),
        ("contrastive", {"batch_size": 1}, "batch_size must be a whole number of 2"),
        ("contrastive", {"rate": float("nan")}, "rate must be a number above zero, found nan"),
        ("contrastive", {"weight_decay": -1}, "weight_decay must be a number zero or above, found -1"),
        ("contrastive", {"seed": True}, "seed must be a whole number of 0 or more, found True"),
        ("devise", {"margin": -0.1}, "devise: margin must be a number above zero"),
        ("devise", {"steps": -1}, "devise: steps must be a whole number of 0"),
        ("devise", {"penalty": None}, "devise: penalty must be a number above zero, found None"),
        ("neighbours", {"sharpness": 0}, "neighbours: sharpness must be a number above zero"),
        ("kernel", {"sharpness": -5}, "kernel: sharpness must be a number above zero"),
        ("kernel", {"penalty": 0}, "kernel: penalty must be a number above zero"),
        ("ridge", {"penalty": -1}, "ridge: penalty must be a number above zero"),
        ("ridge", {"direction": "both"}, "direction must be 'text-to-image' or 'image-to-text', found 'both'"),
    ],
)
def test_settings_out_of_range(pairs, how, settings, message):
    with pytest.raises(InvalidInput, match=message):
        WAYS[how](pairs, **settings)


def test_a_setting_that_a_way_lacks():
    with pytest.raises(InvalidInput, match="ridge has no setting 'k'; its settings are penalty, direction"):
        check_names("ridge", fit_ridge, {"k": 3})


@pytest.mark.parametrize("fit", [fit_conse, fit_neighbours])
def test_ways_that_need_a_classifier(pairs, fit):
    without = type(pairs)(pairs.features, pairs.vectors)
    with pytest.raises(
        InvalidInput, match="is made from the backbone's classifier and its class names; leave pairs out"
    ):
        fit(without)
