"""Regularisers against float64 loops written from their papers, and each at work on a network."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from fewshot.backbones import create_backbone
from fewshot.errors import InvalidInput, UnknownName
from fewshot.transfer.finetuning import (
    FineTuning,
    build_model,
    describe_regulariser,
    fine_tune,
    list_regularisers,
    parse_regulariser,
    parse_schedule,
)
from fewshot.transfer.finetuning.regularisers import (
    L2SP,
    CoTuning,
    Delta,
    LoRA,
    Pass,
    StochasticNormalisation,
    StochNorm,
    batch_spectral_shrinkage,
    category_relationship,
    co_tuning_loss,
    create_regulariser,
    filter_weights,
    l2_sp,
    map_distance,
)

NET = "fewshot:conv4-28"


def short(regulariser, schedule="all epochs=3 rate=0.01") -> FineTuning:
    return FineTuning(replace(parse_schedule(schedule), pretrained=False), regulariser=regulariser, batch=8)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.01), (2.0, 0.0), (0.0, 3.0)])
def test_l2_sp_is_its_formula(seed, alpha, beta):
    torch.manual_seed(seed)
    shapes = {"a": (3, 4), "b": (5,)}
    shared, start = ({name: torch.randn(shape).double() for name, shape in shapes.items()} for _ in range(2))
    new = {"head": torch.randn(2, 3).double()}
    expected = 0.0
    for name in shapes:
        for now, then in zip(shared[name].flatten().tolist(), start[name].flatten().tolist(), strict=True):
            expected += alpha / 2 * (now - then) ** 2
    for now in new["head"].flatten().tolist():
        expected += beta / 2 * now**2
    assert float(l2_sp(shared, start, new, alpha, beta)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("rows", "columns"), [(4, 9), (9, 4), (1, 5), (6, 6)])
@pytest.mark.parametrize("smallest", [1, 2, 20])
def test_bss_is_the_sum_of_the_least_squared_singular_values(rows, columns, smallest):
    torch.manual_seed(rows)
    features = torch.randn(rows, columns).double().requires_grad_()
    singular = sorted(torch.linalg.svdvals(features.detach()).tolist())
    found = batch_spectral_shrinkage(features, smallest)
    assert float(found.detach()) == pytest.approx(sum(value**2 for value in singular[:smallest]), rel=1e-9)
    assert torch.autograd.gradcheck(lambda values: batch_spectral_shrinkage(values, smallest), features)


@pytest.mark.parametrize("tokens", [False, True])
def test_delta_is_its_formula(tokens):
    torch.manual_seed(0)
    maps, start = (torch.randn(2, 3, 4, 5).double() for _ in range(2))
    weights = torch.rand(3).double()
    expected = 0.0
    for image in range(2):
        for filter_ in range(3):
            for row in range(4):
                for column in range(5):
                    place = (image, filter_, row, column)
                    expected += float(weights[filter_] * (maps[place] - start[place]) ** 2) / (2 * 4 * 5)
    given = [part.flatten(2).transpose(1, 2) for part in (maps, start)] if tokens else [maps, start]
    assert float(map_distance(*given, weights)) == pytest.approx(expected, rel=1e-12)


def test_delta_weighs_filters_by_the_loss_without_them():
    without, whole = torch.tensor([1.0, 3.0, 0.5]).double(), 0.5
    powers = [math.exp(value - whole) for value in without.tolist()]
    assert filter_weights(without, whole).tolist() == pytest.approx([power / sum(powers) for power in powers])


@pytest.mark.parametrize("weights", ["uniform", "attention"])
def test_delta_is_zero_at_the_start_and_grows(digits, weights):
    model, images = build_model(NET, 4, pretrained=False), digits(4)
    penalty = Delta(alpha=1.0, beta=0.0, weights=weights).begin(model, images)
    floats = images.floats(images.pixels)

    def measured() -> float:
        features = model.trunk(floats)
        logits = model.head(features)
        return float(penalty(Pass(floats, features, logits, torch.eye(4)[images.labels])).detach())

    model.eval()
    assert measured() == 0
    with torch.no_grad():
        model.trunk.block4[0].weight.mul_(1.1)
    assert measured() > 0


@pytest.mark.parametrize("kept", [0.0, 0.3, 1.0])
def test_stoch_norm_is_its_formula(kept):
    torch.manual_seed(1)
    plain = nn.BatchNorm2d(6).double()
    with torch.no_grad():
        plain.weight.uniform_(0.5, 2)
        plain.bias.uniform_(-1, 1)
        plain.running_mean.uniform_(-1, 1)
        plain.running_var.uniform_(0.5, 2)
    norm = StochNorm(plain, kept).double()
    images = torch.randn(3, 6, 4, 4).double()
    torch.manual_seed(5)
    found = norm.train()(images)
    torch.manual_seed(5)
    moving = torch.rand(6) < kept
    for channel in range(6):
        values = images[:, channel]
        mean, variance = values.mean(), values.var(unbiased=False)
        if moving[channel]:
            mean, variance = plain.running_mean[channel], plain.running_var[channel]
        expected = (values - mean) / torch.sqrt(variance + plain.eps) * plain.weight[channel] + plain.bias[channel]
        torch.testing.assert_close(found[:, channel], expected)
    plain.train()(images)
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)
    torch.testing.assert_close(norm.eval()(images), plain.eval()(images))


def test_stoch_norm_keeps_the_activation_that_timm_puts_into_a_norm():
    model = build_model("timm:test_efficientnet", 3, 64, pretrained=False).eval()
    images = torch.rand(2, 3, 64, 64)
    expected = model(images)
    StochasticNormalisation().begin(model, None)
    assert sum(isinstance(part, StochNorm) for part in model.modules()) > 3
    torch.testing.assert_close(model.eval()(images), expected)


def test_co_tuning_is_its_formula():
    torch.manual_seed(0)
    probabilities = torch.rand(6, 5).double().softmax(1)
    labels = torch.tensor([0, 0, 2, 2, 2, 0])
    relationship = category_relationship(probabilities, labels, 3)
    for source in range(5):
        for target, items in {0: [0, 1, 5], 2: [2, 3, 4], 1: range(6)}.items():
            expected = sum(float(probabilities[item, source]) for item in items) / len(items)
            assert float(relationship[target, source]) == pytest.approx(expected)
    logits, targets = torch.randn(4, 5).double(), torch.eye(3).double()[[0, 2, 1, 0]]
    targets[0] = torch.tensor([0.3, 0.0, 0.7])
    expected = 0.0
    for row in range(4):
        total = sum(math.exp(value) for value in logits[row].tolist())
        for target in range(3):
            for source in range(5):
                weight = float(targets[row, target] * relationship[target, source])
                expected -= weight * math.log(math.exp(float(logits[row, source])) / total) / 4
    assert float(co_tuning_loss(logits, targets, relationship)) == pytest.approx(expected, rel=1e-9)


def test_co_tuning_trains_the_pretrained_classifier(offline_weights, digits):
    model = build_model("timm:tf_efficientnet_lite0", 4, 28)
    CoTuning().begin(model, digits(2))
    assert {"source_head.weight", "source_head.bias"} <= model.choose("head")


def test_co_tuning_needs_a_pretrained_classifier(digits):
    with pytest.raises(InvalidInput, match="co-tuning needs the classifier of the pretraining"):
        fine_tune(NET, digits(3), short(CoTuning()), progress=False)


def test_lora_trains_little_and_merges_into_the_network(digits, tmp_path):
    pytest.importorskip("peft")
    tuned = fine_tune(NET, digits(4), short(LoRA(rank=2)), progress=False, device="cpu")
    model = tuned.model
    fresh = build_model(NET, 4, pretrained=False).trunk.state_dict()
    base = {name.replace(".base_layer", ""): value for name, value in model.trunk.state_dict().items()}
    assert all(torch.equal(base[name], value) for name, value in fresh.items()), "the network itself stays"
    assert any(value.abs().sum() > 0 for name, value in base.items() if "lora_B" in name)
    model.export_backbone(tmp_path / "lora.safetensors")
    images = digits(2, 9)
    floats = images.floats(images.pixels)
    backbone = create_backbone(NET, weights=tmp_path / "lora.safetensors", device="cpu", precision="float32")
    torch.testing.assert_close(backbone(floats), model.trunk(floats), rtol=1e-3, atol=1e-4)


def test_a_stage_names_the_layers_whose_updates_learn():
    pytest.importorskip("peft")
    model = build_model(NET, 4, pretrained=False)
    LoRA(rank=2).begin(model, None)
    learning = {name for name in model.choose("top=0.5") if name.startswith("trunk.")}
    assert {name.split(".")[1] for name in learning} == {"block3", "block4"}
    assert all(".lora_" in name for name in learning)
    assert model.height(next(name for name in learning if "block3" in name)) == 2


@pytest.mark.parametrize("name", ["l2-sp", "delta", "bss", "stoch-norm", "lora"])
def test_each_trains_and_is_part_of_the_record(digits, name):
    if name == "lora":
        pytest.importorskip("peft")
    regulariser = create_regulariser(name)
    schedule = "head epochs=10 rate=0.05; all epochs=4 rate=0.001"
    tuned = fine_tune(NET, digits(5), short(regulariser, schedule), device="cpu", progress=False)
    assert tuned.history[-1]["loss"] < tuned.history[0]["loss"]
    assert tuned.record["training"]["regulariser"]["name"] == name
    assert tuned.score(digits(20, 5)) > 0.5


def test_a_strong_pull_holds_the_weights(digits):
    fresh = build_model(NET, 4, pretrained=False).trunk.state_dict()

    def moved(alpha: float) -> float:
        model = fine_tune(NET, digits(5), short(L2SP(alpha=alpha)), device="cpu", progress=False).model
        named = dict(model.trunk.named_parameters())
        return float(sum((value - fresh[name]).square().sum() for name, value in named.items()))

    assert moved(100.0) < 0.5 * moved(0.0)


def test_names_and_settings():
    assert list_regularisers() == ["bss", "co-tuning", "delta", "l2-sp", "lora", "stoch-norm"]
    assert parse_regulariser("l2-sp:alpha=0.5,beta=0") == L2SP(0.5, 0.0)
    assert parse_regulariser("delta:weights=attention").weights == "attention"
    assert "Li et al. 2018" in describe_regulariser("l2-sp")["paper"]
    for text, error, told in [
        ("l2sp", UnknownName, "no regulariser is called 'l2sp'; near: l2-sp"),
        ("l2-sp:alpha=x", InvalidInput, "a regulariser takes NAME:SETTING=VALUE"),
        ("l2-sp:gamma=1", InvalidInput, "l2-sp has no setting 'gamma'"),
        ("l2-sp:alpha=-1", InvalidInput, "alpha of l2-sp must be a finite number of at least 0"),
        ("stoch-norm:kept=2", InvalidInput, "kept is a probability"),
        ("delta:weights=no", InvalidInput, "weights of delta must be uniform or attention"),
    ]:
        with pytest.raises(error, match=told):
            parse_regulariser(text)


def test_stoch_norm_needs_norms():
    with pytest.raises(InvalidInput, match="stoch-norm needs batch norms"):
        StochasticNormalisation().begin(build_model("timm:vit_tiny_patch16_224", 3, pretrained=False), None)
