"""Label sets with gaps, the shared network, its training, the task affinity, and together against alone."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

import fewshot
from fewshot.backbones.registry import build_network
from fewshot.errors import Diverged, InvalidInput, SamplingError, UnknownName
from fewshot.files import write_tensors
from fewshot.transfer.multitask import (
    ALONE,
    ALONE_SHARING,
    Comparison,
    Draw,
    LabelSets,
    MultitaskNetwork,
    MultitaskTraining,
    create_balancing,
    draw_split,
    feature_inputs,
    feature_trunk,
    image_inputs,
    list_balancings,
    lookahead_affinity,
    open_trunk,
    task_losses,
    train_multitask,
    verdicts,
)

SHORT = MultitaskTraining(steps=80, batch=32, learning_rate=1e-2)


@pytest.fixture(scope="module")
def shapes():
    """Points around six centres that lie in three pairs: fine and coarse labels, and features (240, 8)."""
    generator = torch.Generator().manual_seed(0)
    fine = torch.arange(240) % 6
    pairs, single = (torch.randn(count, 8, generator=generator) for count in (3, 6))
    features = 2 * pairs[fine // 2] + 2 * single[fine] + 0.5 * torch.randn(240, 8, generator=generator)
    return features, LabelSets(("fine", "coarse"), torch.stack([fine, fine // 2], 1), (6, 3))


def make_trunk() -> nn.Module:
    return feature_trunk(8, 16)


def comparison(shapes, draws: int = 2, **training) -> Comparison:
    features, labels = shapes
    splits = [draw_split(labels.codes[:, 0], 5, 20, seed) for seed in range(draws)]
    told = [Draw(labels, *split) for split in splits]
    return Comparison("multitask", "shapes", make_trunk, feature_inputs(features), told, replace(SHORT, **training))


def test_label_sets_of_a_data_set() -> None:
    glyphs = fewshot.load_dataset("glyphs-small")
    labels = LabelSets.of(glyphs, ["class", "alphabet"])
    assert labels.codes.shape == (len(glyphs), 2)
    assert torch.equal(labels.codes[:, 0], glyphs.labels)
    assert labels.sizes[1] == len(glyphs.groups["alphabet"].codes.unique())
    with pytest.raises(UnknownName, match="alphabet"):
        LabelSets.of(glyphs, ["alphabt"])
    with pytest.raises(InvalidInput, match="class, font, alphabet"):
        LabelSets.of(glyphs, [])


@pytest.mark.parametrize(
    ("dataset", "names", "sizes"),
    [("grocery-store", ("class", "coarse"), (81, 43)), ("omniglot", ("class", "alphabet"), (1623, 50))],
)
def test_label_sets_of_the_real_ones(shared_data, dataset: str, names: tuple[str, str], sizes: tuple[int, int]) -> None:
    labels = LabelSets.of(fewshot.load_dataset(dataset), names)
    assert labels.sizes == sizes
    fine = labels.codes.unique(dim=0)[:, 0]
    assert len(fine) == len(fine.unique()) == sizes[0]  # each fine class lies in one coarse class


def test_label_sets_refuse_what_they_cannot_be(shapes) -> None:
    _, labels = shapes
    with pytest.raises(InvalidInput, match="two or more"):
        LabelSets(("a",), torch.zeros(5, 1, dtype=torch.int64), (1,))
    with pytest.raises(InvalidInput, match=r"0\.\.1"):
        LabelSets(("a",), torch.tensor([[0], [2]]), (2,))
    with pytest.raises(InvalidInput, match="int64"):
        LabelSets(("a",), torch.rand(5, 1), (2,))
    with pytest.raises(InvalidInput, match="differ"):
        LabelSets(("a", "a"), torch.tensor([[0, 0], [1, 1]]), (2, 2))
    with pytest.raises(UnknownName, match="coarse"):
        labels.only("coarser")
    nothing = labels.hidden("fine", torch.arange(200))
    with pytest.raises(InvalidInput, match="fine"):
        train_multitask(make_trunk, feature_inputs(torch.randn(240, 8)), nothing, torch.arange(100))


def test_missing_labels_count_nothing() -> None:
    torch.manual_seed(0)
    logits = [torch.randn(6, 3).double(), torch.randn(6, 4).double()]
    labels = torch.tensor([[0, -1], [2, -1], [-1, -1], [1, -1], [-1, -1], [0, -1]])
    losses, present = task_losses(logits, labels)
    assert present.tolist() == [True, False]
    expected = [-logits[0][row].softmax(0)[label].log().item() for row, (label, _) in enumerate(labels) if label >= 0]
    assert losses.tolist() == pytest.approx([sum(expected) / 4, 0.0])


@pytest.mark.parametrize("name", ["equal", "gradnorm", "pcgrad", "uncertainty"])
def test_training_learns_and_repeats(name: str, shapes) -> None:
    features, labels = shapes
    train, test = draw_split(labels.codes[:, 0], 20, 20, seed=0)
    labels = labels.hidden("fine", train[::2])
    first, again = (
        train_multitask(make_trunk, feature_inputs(features), labels, train, create_balancing(name), SHORT)
        for _ in range(2)
    )
    assert torch.equal(first.losses, again.losses)
    assert min(first.accuracies(feature_inputs(features), labels, test)) > 0.8
    assert (first.losses[-1] < first.losses[0] / 2).all()


def test_divergence_is_told(shapes) -> None:
    features, labels = shapes
    with pytest.raises(Diverged, match="step"):
        train_multitask(make_trunk, feature_inputs(features * 1e38), labels, torch.arange(60), training=SHORT)


class _WithSpare(nn.Module):
    """A trunk with weights that it never uses."""

    def __init__(self) -> None:
        super().__init__()
        self.spare, self.used = nn.Linear(3, 3), nn.Linear(8, 16)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.used(inputs).relu()


@pytest.mark.parametrize("name", list_balancings())
def test_weights_that_are_not_used_do_no_harm(name: str, shapes) -> None:
    features, labels = shapes
    short = replace(SHORT, steps=2, affinity_every=1)
    balancing = create_balancing(name)
    trained = train_multitask(_WithSpare, feature_inputs(features), labels, torch.arange(60), balancing, short)
    assert trained.losses.isfinite().all()
    assert trained.affinity.isfinite().all()


def test_equal_seeds_begin_with_equal_trunks(shapes) -> None:
    features, labels = shapes
    still = replace(SHORT, steps=1, learning_rate=1e-12)
    whole, alone = (
        train_multitask(make_trunk, feature_inputs(features), each, torch.arange(60), training=still).network
        for each in (labels, labels.only("coarse"))
    )
    for one, other in zip(whole.shared(), alone.shared(), strict=True):
        torch.testing.assert_close(one, other)


def test_affinity_by_a_step_taken_for_real() -> None:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Tanh())
    network = MultitaskNetwork(trunk, 7, (3, 2, 4)).double().train()
    inputs = torch.randn(12, 5).double()
    labels = torch.stack([torch.randint(size, (12,)) for size in (3, 2, 4)], 1)
    before = copy.deepcopy(network.state_dict())
    found = lookahead_affinity(network, inputs, labels, 0.3)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    for i in range(3):
        other = copy.deepcopy(network)
        losses = [nn.functional.cross_entropy(logits, labels[:, j]) for j, logits in enumerate(other(inputs))]
        slopes = torch.autograd.grad(losses[i], list(other.trunk.parameters()))
        with torch.no_grad():
            for weight, slope in zip(other.trunk.parameters(), slopes, strict=True):
                weight -= 0.3 * slope
            for j, logits in enumerate(other(inputs)):
                after = nn.functional.cross_entropy(logits, labels[:, j])
                assert float(found[i, j]) == pytest.approx(1 - float(after) / float(losses[j]), rel=1e-9)


def test_affinity_of_a_label_set_without_labels_is_unknown(shapes) -> None:
    features, labels = shapes
    network = MultitaskNetwork(make_trunk(), 16, labels.sizes)
    codes = labels.codes[:30].clone()
    codes[:, 1] = -1
    found = lookahead_affinity(network, features[:30], codes, 0.1)
    assert found.isnan().tolist() == [[False, True], [True, True]]
    assert float(found[0, 0]) > 0


def test_together_against_alone(shapes) -> None:
    compared = comparison(shapes, affinity_every=20)
    steps: list[int] = []
    results = [result for method in (ALONE, ALONE_SHARING, *list_balancings()) for result in compared.measure(method)]
    for method in (ALONE, ALONE_SHARING, "equal"):
        steps.clear()
        compared.measure(method, steps.append)
        assert sum(steps) == compared.steps(method)
    assert {result.case for result in results} == {"shapes: fine", "shapes: coarse"}
    assert all(len(result.draws) == 2 for result in results)
    equal = next(result for result in results if result.method == "equal" and result.case == "shapes: coarse")
    assert list(equal.more["affinity"]) == ["fine"]
    assert len(equal.more["affinity"]["fine"]) == 2
    assert not next(result for result in results if result.method == "pcgrad").more
    found = list(verdicts(results))
    assert len(found) == 2 * 5
    one = found[0]
    assert one.test.difference.mean == pytest.approx(one.together.interval.mean - one.alone.interval.mean)


def test_a_split_has_no_overlap() -> None:
    codes = torch.tensor([0, 1, 0, 1, 0, 1, -1, 0])
    train, test = draw_split(codes, 1, 2, seed=3)
    assert not set(train.tolist()) & set(test.tolist())
    assert codes[train].tolist() == [0, 1]
    assert sorted(codes[test].tolist()) == [0, 0, 1, 1]
    with pytest.raises(SamplingError, match="class 1 has 3"):
        draw_split(codes, 3, 1, seed=0)


def test_images_as_inputs(tmp_path) -> None:
    glyphs = fewshot.load_dataset("glyphs-small").select(indices=range(60))
    network = build_network("fewshot:conv4-omniglot", pretrained=False)
    inputs = image_inputs(glyphs, network.preprocess)
    expected = torch.stack([network.preprocess(glyphs.images[row]) for row in (3, 50)])
    torch.testing.assert_close(inputs(torch.tensor([3, 50])), expected, atol=1e-5, rtol=0)
    labels = LabelSets.of(glyphs, ["class"])
    short = MultitaskTraining(steps=2, batch=8)
    make_trunk, inputs = open_trunk("fewshot:conv4-omniglot", glyphs, whole=True, pretrained=False)
    trained = train_multitask(make_trunk, inputs, labels, torch.arange(60), training=short)
    assert trained.losses.shape == (2, 1)
    assert not torch.equal(make_trunk().block1[0].weight, make_trunk().block1[0].weight)
    given = make_trunk()
    write_tensors(tmp_path / "trunk.safetensors", given.state_dict(), {})
    name = f"file:fewshot:conv4-omniglot@{tmp_path / 'trunk.safetensors'}"
    make_trunk, _ = open_trunk(name, glyphs, whole=True)
    assert torch.equal(make_trunk().block1[0].weight, given.block1[0].weight)
    make_trunk, inputs = open_trunk(name, glyphs, whole=False)
    assert inputs(torch.tensor([0, 1])).shape == (2, 64)
    assert make_trunk()[0].in_features == 64
