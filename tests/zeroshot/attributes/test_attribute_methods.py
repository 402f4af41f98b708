"""Each method against its formula in float64, written plainly in numpy, or against scipy or scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_sylvester
from sklearn.linear_model import LogisticRegression

from fewshot.errors import Diverged, FewshotError, InvalidInput, UnknownName, UnreadableFile
from fewshot.files import write_json
from fewshot.zeroshot.attributes import AttributeModel, create_attribute_method, list_attribute_methods
from fewshot.zeroshot.attributes.attribute_posterior import class_scores
from fewshot.zeroshot.attributes.eszsl import eszsl
from fewshot.zeroshot.attributes.sae import semantic_autoencoder

METHODS = list_attribute_methods()
BILINEAR = ["ale", "devise", "sje"]


def made(items=40, dim=6, seen=5, unseen=3, attributes=7, binary=False):
    """Features that follow the attributes of their class, in float64; the last rows of attributes are unseen."""
    table = torch.rand(seen + unseen, attributes, dtype=torch.float64)
    if binary:
        table = (table > 0.5).double()
        table[:2, :] = torch.stack([torch.ones(attributes), torch.zeros(attributes)])  # none is constant
    labels = torch.arange(items) % seen
    features = table[labels] @ torch.randn(attributes, dim, dtype=torch.float64)
    return features + 0.3 * torch.randn_like(features), labels, table[:seen], table


def plain(features, labels, seen, table):
    return [part.numpy() for part in (features, labels, seen, table)]


def fitted(name, data, **settings):
    features, labels, seen, _ = data
    raw = {} if create_attribute_method(name).binary else {"attributes": "raw"}
    return create_attribute_method(name, features="raw", **raw, **settings).fit(features, labels, seen)


@pytest.mark.parametrize("penalties", [(1.0, 1.0), (0.01, 30.0)])
def test_eszsl_is_its_formula(penalties):
    data = made()
    X, y, S, table = plain(*data)
    Y = -np.ones((len(X), len(S)))
    Y[np.arange(len(X)), y] = 1
    left, right = X.T @ X + penalties[0] * np.eye(6), S.T @ S + penalties[1] * np.eye(7)
    V = np.linalg.inv(left) @ X.T @ Y @ S @ np.linalg.inv(right)
    model = fitted("eszsl", data, feature_penalty=penalties[0], attribute_penalty=penalties[1])
    np.testing.assert_allclose(model.scores(data[0], data[3]), X @ V @ table.T, rtol=1e-9, atol=1e-11)


def test_eszsl_is_the_minimum_of_its_loss():
    """Equation 3: |X V S' - Y|² + gamma |V S'|² + lambda |X V|² + gamma lambda |V|²."""
    features, labels, seen, _ = made()
    V = eszsl(features, labels, seen, 0.3, 2.0).requires_grad_()
    targets = 2 * torch.nn.functional.one_hot(labels).double() - 1
    first, second = features @ V, V @ seen.mT
    loss = (first @ seen.mT - targets).square().sum() + 0.3 * second.square().sum() + 2 * first.square().sum()
    gradient = torch.autograd.grad(loss + 0.6 * V.square().sum(), V)[0]
    assert gradient.abs().max() < 1e-9


@pytest.mark.parametrize("encoding", [0.1, 1.0, 1000.0])
def test_sae_is_scipys_sylvester(encoding):
    features, _, _, _ = made(items=60)
    codes = torch.rand(60, 7, dtype=torch.float64)
    found = semantic_autoencoder(features, codes, encoding)
    X, S = features.numpy(), codes.numpy()
    expected = solve_sylvester(S.T @ S, encoding * X.T @ X, (1 + encoding) * S.T @ X)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_sae_of_few_classes_and_items_solves_the_equation_with_least_norm():
    features, labels, seen, _ = made(items=5, dim=8, attributes=9)
    codes = seen[labels]
    found = semantic_autoencoder(features, codes, 0.5)
    residual = codes.mT @ codes @ found + 0.5 * found @ features.mT @ features - 1.5 * codes.mT @ features
    assert residual.abs().max() < 1e-10
    # what lies outside the span of both is free, and zero
    outside = lambda rows: torch.eye(rows.shape[1]).double() - torch.linalg.pinv(rows) @ rows  # noqa: E731
    assert (outside(codes) @ found @ outside(features)).abs().max() < 1e-10


@pytest.mark.parametrize("space", ["features", "attributes"])
def test_sae_compares_by_cosine(space):
    data = made(items=60)
    X, _, _, table = plain(*data)
    model = fitted("sae", data, space=space)
    W = model.state["encoder"].numpy()
    left, right = (X, table @ W) if space == "features" else (X @ W.T, table)
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in right] for a in left]
    np.testing.assert_allclose(model.scores(data[0], data[3]), cosine, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("prior", ["empirical", "half"])
def test_dap_is_its_formula(prior):
    data = made(binary=True)
    X, y, S, table = plain(*data)
    expected = np.ones((len(X), len(table)))
    for m in range(7):
        having = LogisticRegression(max_iter=1000).fit(X, S[y, m]).predict_proba(X)  # columns: absent, present
        share = S[:, m].mean() if prior == "empirical" else 0.5
        for z in range(len(table)):
            expected[:, z] *= having[:, 1] / share if table[z, m] else having[:, 0] / (1 - share)
    found = fitted("dap", data, prior=prior).scores(data[0], data[3])
    np.testing.assert_allclose(found.exp(), expected, rtol=1e-6)


@pytest.mark.parametrize("seen", [2, 5])
def test_iap_is_its_formula(seen):
    data = made(binary=True, seen=seen)
    X, y, S, table = plain(*data)
    classes = LogisticRegression(max_iter=1000).fit(X, y).predict_proba(X)
    expected = np.ones((len(X), len(table)))
    for m in range(7):
        present = classes[:, S[:, m] == 1].sum(1)
        share = S[:, m].mean()
        for z in range(len(table)):
            expected[:, z] *= present / share if table[z, m] else (1 - present) / (1 - share)
    np.testing.assert_allclose(fitted("iap", data).scores(data[0], data[3]).exp(), expected, rtol=1e-6)


def test_posterior_of_sure_attributes_does_not_underflow():
    present = torch.tensor([[-1e-30, -400.0]]).repeat(1, 40)
    absent = torch.tensor([[-400.0, -1e-30]]).repeat(1, 40)
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(1, 40)
    scores = class_scores(present, absent, torch.full((80,), 0.5), rows)
    assert scores.isfinite().all()
    assert scores[0, 0] - scores[0, 1] == pytest.approx(80 * 400, rel=1e-6)


@pytest.mark.parametrize("name", ["dap", "iap"])
@pytest.mark.parametrize("prior", ["empirical", "half"])
def test_attribute_that_all_seen_classes_share_counts_for_nothing(name, prior):
    features, labels, seen, table = made(binary=True)
    wider = torch.cat([table, torch.ones(8, 1).double(), torch.zeros(8, 1).double()], 1)
    wider[6, 7], wider[7, 8] = 0, 1
    narrow = fitted(name, (features, labels, seen, table), prior=prior).scores(features, table)
    found = fitted(name, (features, labels, wider[:5], wider), prior=prior).scores(features, wider)
    torch.testing.assert_close(found, narrow)


@pytest.mark.parametrize("top", [1, 3, 10])
def test_conse_is_its_formula(top):
    data = made()
    X, y, S, table = plain(*data)
    classes = LogisticRegression(max_iter=1000).fit(X, y).predict_proba(X)
    expected = []
    for row in classes:
        best = np.argsort(-row)[:top]
        mean = sum(row[k] * S[k] for k in best) / row[best].sum()
        expected.append([mean @ s / np.linalg.norm(mean) / np.linalg.norm(s) for s in table])
    np.testing.assert_allclose(fitted("conse", data, top=top).scores(data[0], data[3]), expected, rtol=1e-6)


def reference_loss(name, W, X, y, S, margin):
    total = 0.0
    for x, own in zip(X, y, strict=True):
        scores = x @ W @ S.T
        violated = [margin + scores[k] - scores[own] for k in range(len(S)) if k != own]
        positive = [value for value in violated if value > 0]
        if name == "sje":
            total += max(0, *violated)
        elif name == "devise":
            total += sum(positive)
        else:
            total += sum(1 / (rank + 1) for rank in range(len(positive))) / max(len(positive), 1) * sum(positive)
    return total


@pytest.mark.parametrize("name", BILINEAR)
def test_loss_is_its_formula_and_the_gradient_its_slope(name):
    data = made()
    features, labels, seen, _ = data
    X, y, S, _ = plain(*data)
    method = create_attribute_method(name, margin=0.7)
    W = 0.1 * torch.randn(6, 7, dtype=torch.float64)
    loss, gradient = method.loss_and_gradient(W, features, labels, seen)
    assert float(loss) == pytest.approx(reference_loss(name, W.numpy(), X, y, S, 0.7), rel=1e-12)
    step = 1e-6
    for row in range(6):
        for column in range(7):
            change = np.zeros((6, 7))
            change[row, column] = step
            rise = reference_loss(name, W.numpy() + change, X, y, S, 0.7)
            fall = reference_loss(name, W.numpy() - change, X, y, S, 0.7)
            assert float(gradient[row, column]) == pytest.approx((rise - fall) / (2 * step), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", BILINEAR)
def test_training_lowers_the_loss_and_is_drawn_by_the_seed(name):
    features, labels, seen, _ = made()
    first, same, other = (
        create_attribute_method(name, rate=0.5, seed=seed).fit(features, labels, seen).state["weight"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    method = create_attribute_method(name)
    unit = [part / part.norm(dim=1, keepdim=True) for part in (features, seen)]
    start, end = (method.loss_and_gradient(W, unit[0], labels, unit[1])[0] for W in (torch.zeros_like(first), first))
    assert end < 0.8 * start


def test_single_steps_are_the_papers_sgd():
    """SJE, equation 5, item by item."""
    features, labels, seen, _ = made(items=12)
    found = create_attribute_method("sje", batch=1, epochs=2, rate=0.1, features="raw", attributes="raw")
    generator = torch.Generator().manual_seed(0)
    W = np.zeros((6, 7))
    for _ in range(2):
        for row in torch.randperm(12, generator=generator).tolist():
            x, own = features[row].numpy(), int(labels[row])
            values = seen.numpy() @ W.T @ x + 1 - (np.arange(5) == own)
            worst = int(values.argmax())
            W += 0.1 * np.outer(x, seen[own].numpy() - seen[worst].numpy())
    np.testing.assert_allclose(found.fit(features, labels, seen).state["weight"], W, rtol=1e-9, atol=1e-12)


def test_divergence_is_told():
    features, labels, seen, _ = made()
    method = create_attribute_method("devise", rate=1e308, features="raw", attributes="raw")
    with pytest.raises(Diverged, match="devise has diverged: lower rate, found 1e\\+308"):
        method.fit(features, labels, seen)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_method_learns_saves_and_scores_any_classes(name, dtype, tmp_path):
    method = create_attribute_method(name)
    features, labels, seen, table = (part for part in made(items=100, attributes=20, binary=method.binary))
    features, seen, table = features.to(dtype), seen.to(dtype), table.to(dtype)
    model = method.fit(features, labels, seen)
    scores = model.scores(features, table)
    assert scores.shape == (100, 8)
    assert scores.dtype == dtype
    assert (model.predict(features, seen) == labels).double().mean() > 0.6
    torch.testing.assert_close(scores[3:5, 2:6], model.scores(features[3:5], table[2:6]))
    model.save(tmp_path / "model")
    again = AttributeModel.load(tmp_path / "model")
    assert again.method == method
    assert torch.equal(again.scores(features, table), scores)


@pytest.mark.parametrize("name", ["eszsl", "sae", "sje"])
def test_scaling_is_what_it_says(name):
    features, labels, seen, table = made()
    centred = [features - features.mean(0), seen - seen.mean(0), table - seen.mean(0)]
    unit = [part / part.norm(dim=1, keepdim=True) for part in centred]
    found = create_attribute_method(name, features="centre+l2", attributes="centre+l2").fit(features, labels, seen)
    by_hand = create_attribute_method(name, features="raw", attributes="raw").fit(unit[0], labels, unit[1])
    torch.testing.assert_close(found.scores(features, table), by_hand.scores(unit[0], unit[2]))


def test_bad_input_is_told():
    features, labels, seen, table = made()
    method = create_attribute_method("eszsl")
    with pytest.raises(InvalidInput, match="class 4 has attributes and no item; give the rows of seen classes alone"):
        method.fit(features, labels.clamp(max=3), seen)
    with pytest.raises(InvalidInput, match=r"labels must lie in \[0, 4\), one row .* found 0 to 4"):
        method.fit(features, labels, seen[:4])
    with pytest.raises(InvalidInput, match=r"labels must be integers of shape \(40,\), found float64"):
        method.fit(features, labels.double(), seen)
    with pytest.raises(InvalidInput, match="attributes must be finite, found nan in row 1, column 2"):
        broken = seen.clone()
        broken[1, 2] = torch.nan
        method.fit(features, labels, broken)
    with pytest.raises(InvalidInput, match="two seen classes or more"):
        method.fit(features, torch.zeros_like(labels), seen[:1])
    with pytest.raises(InvalidInput, match="dap takes attributes that are 0 or 1, found .* in row 0, column 0"):
        create_attribute_method("dap").fit(features, labels, seen)
    model = method.fit(features, labels, seen)
    with pytest.raises(InvalidInput, match="fitted on attributes of 7 dimensions, found 6"):
        model.scores(features, table[:, :6])
    with pytest.raises(InvalidInput, match="fitted on features of 6 dimensions, found 5"):
        model.scores(features[:, :5], table)


def test_bad_settings_are_told():
    with pytest.raises(InvalidInput, match="eszsl: feature_penalty must be above zero, found 0"):
        create_attribute_method("eszsl", feature_penalty=0.0)
    with pytest.raises(InvalidInput, match="features must be 'raw' or 'l2' or 'centre\\+l2', found 'unit'"):
        create_attribute_method("sae", features="unit")
    with pytest.raises(InvalidInput, match="dap takes binary attributes as they are: attributes must be 'raw'"):
        create_attribute_method("dap", attributes="l2")
    with pytest.raises(UnknownName, match="no attribute method is called 'ezsl'; near: eszsl"):
        create_attribute_method("ezsl")


def test_damaged_models_are_told(tmp_path):
    features, labels, seen, _ = made()
    folder = tmp_path / "model"
    create_attribute_method("eszsl").fit(features, labels, seen).save(folder)
    content = (folder / "model.json").read_text()
    with pytest.raises(UnreadableFile, match="none/model.json does not exist"):
        AttributeModel.load(tmp_path / "none")
    (folder / "model.json").write_text(content.replace('"version": 1', '"version": 2'))
    with pytest.raises(UnreadableFile, match="is of version 2, this fewshot reads 1: upgrade it"):
        AttributeModel.load(folder)
    (folder / "model.json").write_text(content.replace('"version"', '"revision"'))
    with pytest.raises(UnreadableFile, match="model is damaged .'version'"):
        AttributeModel.load(folder)
    (folder / "model.json").write_text(content)
    (folder / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(UnreadableFile, match="model is damaged"):
        AttributeModel.load(folder)
    write_json(folder / "model.json", {"format": "another"})
    with pytest.raises(FewshotError, match="holds no AttributeModel"):
        AttributeModel.load(folder)
