"""Deep adaptation: the losses against loops in float64, what may change and what may not, and all on one problem."""

import math

import pytest
import torch
from torch import nn

from fewshot.errors import Diverged, InvalidInput
from fewshot.transfer.domains import create_adaptation, describe_adaptation
from fewshot.transfer.domains.deep import build_network, tent
from fewshot.transfer.domains.deep.adversarial import entropy_weights, multilinear, reverse_gradient
from fewshot.transfer.domains.deep.classifier_discrepancy import discrepancy
from fewshot.transfer.domains.deep.mean_matching import dan_loss, jan_loss
from fewshot.transfer.domains.deep.method import ramp, shuffled
from fewshot.transfer.domains.deep.shot import information_loss, pseudo_labels
from fewshot.transfer.domains.deep.tent import affine_parameters, entropy
from fewshot.transfer.domains.distances import coral_loss

DEEP = ["cdan", "dan", "dann", "deep-coral", "deep-source-only", "jan", "mcd", "shot", "tent"]
SEES = {"deep-source-only": "source-only", "shot": "source-free", "tent": "source-free"}


def square(x, y):
    return sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


def loop_gram(rows):
    mean = sum(square(x, y) for x in rows for y in rows) / (len(rows) * (len(rows) - 1))
    return [[sum(math.exp(-square(x, y) / (f * mean)) for f in (0.25, 0.5, 1, 2, 4)) / 5 for y in rows] for x in rows]


def loop_mmd(gram, n):
    m = len(gram) - n
    total = sum(gram[i][j] for i in range(n) for j in range(n)) / n**2
    total += sum(gram[n + i][n + j] for i in range(m) for j in range(m)) / m**2
    return total - 2 * sum(gram[i][n + j] for i in range(n) for j in range(m)) / (n * m)


@pytest.mark.parametrize(("n", "m"), [(5, 4), (3, 7), (1, 2)])
def test_dan_and_jan_are_the_formulas(n, m) -> None:
    layers = [(torch.randn(n, d).double(), torch.randn(m, d).double() + 1) for d in (3, 2)]
    grams = [loop_gram(torch.cat(layer).tolist()) for layer in layers]
    assert float(dan_loss(*layers[0])) == pytest.approx(loop_mmd(grams[0], n))
    product = [[a * b for a, b in zip(*rows, strict=True)] for rows in zip(*grams, strict=True)]
    assert float(jan_loss(layers)) == pytest.approx(loop_mmd(product, n))


@pytest.mark.parametrize("loss", [coral_loss, lambda s, t: jan_loss([(s, t), (s.softmax(1), t.softmax(1))])])
def test_gradients_are_those_of_differences(loss) -> None:
    source, target = torch.randn(4, 3).double().requires_grad_(), torch.randn(5, 3).double().requires_grad_()
    if loss is coral_loss:
        assert torch.autograd.gradcheck(loss, (source, target))
        return
    # the bandwidth is a constant to the gradient: with it held, differences agree in direction of descent
    value = loss(source, target)
    (gradient,) = torch.autograd.grad(value, source)
    assert loss(source - 1e-3 * gradient, target) < value


def test_gradient_is_reversed() -> None:
    items = torch.randn(4, 3, requires_grad=True)
    kept = reverse_gradient(items)
    assert torch.equal(kept, items)
    kept.square().sum().backward()
    assert torch.allclose(items.grad, -2 * items)


def test_adversarial_parts_are_the_formulas() -> None:
    features, chances = torch.randn(3, 2).double(), torch.rand(3, 4).double().softmax(1)
    expected = [
        [f * c for f in row for c in other] for row, other in zip(features.tolist(), chances.tolist(), strict=True)
    ]
    assert torch.allclose(multilinear(features, chances), torch.tensor(expected).double())
    weights = [1 + math.exp(sum(c * math.log(c) for c in row)) for row in chances.tolist()]
    assert entropy_weights(chances).tolist() == pytest.approx(weights)
    assert entropy_weights(torch.eye(3)).tolist() == [2, 2, 2]
    assert [ramp(0), ramp(1)] == pytest.approx([0, 2 / (1 + math.exp(-10)) - 1])


def test_discrepancy_and_entropies_are_the_formulas() -> None:
    logits, others = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    p, q = logits.softmax(1).tolist(), others.softmax(1).tolist()
    assert float(discrepancy(logits.softmax(1), others.softmax(1))) == pytest.approx(
        sum(abs(p[i][c] - q[i][c]) for i in range(5) for c in range(3)) / 15
    )
    each = -sum(c * math.log(c) for row in p for c in row) / 5
    mean = [sum(row[c] for row in p) / 5 for c in range(3)]
    assert float(entropy(logits)) == pytest.approx(each)
    assert float(information_loss(logits)) == pytest.approx(each + sum(c * math.log(c) for c in mean))
    assert torch.autograd.gradcheck(entropy, (logits.requires_grad_(),))
    assert torch.autograd.gradcheck(information_loss, (logits,))


def test_pseudo_labels_are_the_loop() -> None:
    features, chances = torch.randn(12, 4).double(), torch.randn(12, 3).double().softmax(1)

    def cosine(x, y):
        return sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(square(x, [0] * 4) * square(y, [0] * 4))

    share = chances.tolist()
    for _ in range(2):
        centroids = []
        for c in range(3):
            total = sum(row[c] for row in share)
            centroids.append([sum(share[i][c] * float(features[i, d]) for i in range(12)) / total for d in range(4)])
        labels = [max(range(3), key=lambda c: cosine(row, centroids[c])) for row in features.tolist()]
        share = [[float(label == c) for c in range(3)] for label in labels]
    assert pseudo_labels(features, chances).tolist() == labels


@pytest.mark.parametrize("name", DEEP)
def test_every_method(name, shifted) -> None:
    source, labels, target, truth = shifted
    method = create_adaptation(name, epochs=30, batch=45, learning_rate=3e-3)
    state = torch.get_rng_state()
    found = method.adapt(source, 5 * labels + 2, target)
    assert torch.equal(torch.get_rng_state(), state)  # no draw of the caller's is used up
    assert torch.equal(method.adapt(source, 5 * labels + 2, target), found)
    assert set(found.tolist()) <= {2, 7, 12}
    assert (found == 5 * truth + 2).double().mean() > 0.6
    assert describe_adaptation(name)["sees"]["kind"] == SEES.get(name, "transductive")
    with pytest.raises(InvalidInput, match="one class only"):
        method.adapt(source, torch.zeros(90).long(), target)
    with pytest.raises(InvalidInput, match="same dimensions"):
        method.adapt(source, labels, target[:, :3])
    with pytest.raises(InvalidInput, match="constant features"):
        method.adapt(source, labels, torch.ones(75, 4))


@pytest.mark.parametrize("name", DEEP)
def test_images_are_taken(name) -> None:
    labels = torch.arange(2).repeat(20)
    source, target = torch.rand(40, 1, 8, 9), torch.rand(30, 1, 8, 9)
    source[labels == 1, :, :4] += 2
    target[::2, :, :4] += 2
    found = create_adaptation(name, epochs=8, batch=20, learning_rate=1e-2).adapt(source, labels, target)
    assert (found == (torch.arange(30) % 2 == 0).long()).double().mean() > 0.8


def test_tent_changes_batch_norms_alone() -> None:
    network = build_network(torch.Size([6]), 3)
    before = {name: value.clone() for name, value in network.named_parameters()}
    logits = tent(network, torch.randn(64, 6), batch=16, learning_rate=1e-2)
    changed = {name for name, value in network.named_parameters() if not torch.equal(value, before[name])}
    norms = {f"trunk.{place}.{part}" for place in (1, 4) for part in ("weight", "bias")}
    assert changed == norms
    assert len(affine_parameters(network)) == 4
    assert logits.shape == (64, 3)
    assert logits.isfinite().all()
    with pytest.raises(InvalidInput, match="batch norms"):
        affine_parameters(nn.Linear(3, 2))


def test_tent_lowers_the_entropy() -> None:
    network, items = build_network(torch.Size([6]), 3), torch.randn(64, 6)
    network.train()
    before = float(entropy(network(items)[1]).detach())
    for _ in range(5):
        tent(network, items, batch=64, learning_rate=1e-2)
    network.train()
    assert float(entropy(network(items)[1]).detach()) < before


def test_shot_leaves_the_head_alone_and_the_source_out() -> None:
    network = build_network(torch.Size([6]), 3)
    head, trunk = network.head.weight.clone(), network.trunk[0].weight.clone()
    create_adaptation("shot", epochs=2, batch=16).adapt_network(network, torch.randn(33, 6))
    assert torch.equal(network.head.weight, head)
    assert not torch.equal(network.trunk[0].weight, trunk)


def test_an_order_is_used_up_before_the_next_is_drawn() -> None:
    drawn = list(shuffled(10, 3, 7))
    assert len(drawn) == 7
    assert all(len(set(torch.cat(drawn[i : i + 3]).tolist())) == 9 for i in (0, 3))


def test_bad_settings_and_shapes_are_told(shifted) -> None:
    source, labels, target, _ = shifted
    with pytest.raises(InvalidInput, match="epochs must be above zero"):
        create_adaptation("dan", epochs=0)
    with pytest.raises(InvalidInput, match="repeats must be above zero"):
        create_adaptation("mcd", repeats=0)
    with pytest.raises(InvalidInput, match=r"vectors \(D,\) or images"):
        build_network(torch.Size([3, 4, 4]), 2)
    with pytest.raises(Diverged, match="lower learning_rate"):
        create_adaptation("dan", learning_rate=1e30, epochs=3).adapt(source, labels, target)
