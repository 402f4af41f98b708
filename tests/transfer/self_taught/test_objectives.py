"""Each objective against plain float64 loops written from its paper."""

import math

import pytest
import torch
from torch import nn

from fewshot.errors import InvalidInput, UnknownName
from fewshot.learners.meta.training.image_bank import ByteScale
from fewshot.transfer.self_taught import (
    Autoencoder,
    Decoder,
    Denoising,
    Masked,
    Plain,
    Variational,
    create_objective,
    list_objectives,
    measure_batch_norms,
)
from fewshot.transfer.self_taught.masked import error_of_hidden, hidden_pixels
from fewshot.transfer.self_taught.variational import divergence_from_normal, negative_bound

SCALE = ByteScale((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))


def model_for(objective, side: int = 8) -> Autoencoder:
    torch.manual_seed(0)
    code, size = objective.code(12)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, 12), nn.Tanh())
    return Autoencoder(encoder, code, Decoder(size, 3, side, width=4), SCALE).eval()


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def squared_error(one: torch.Tensor, other: torch.Tensor) -> float:
    pairs = list(zip(one.flatten().tolist(), other.flatten().tolist(), strict=True))
    return sum((a - b) ** 2 for a, b in pairs) / len(pairs)


def test_all_are_registered() -> None:
    assert list_objectives() == ["denoising", "masked", "plain", "variational"]
    with pytest.raises(UnknownName, match="masked"):
        create_objective("maskd")


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("masked", {"share": 1.0}, "share"),
        ("masked", {"patch": 0}, "patch"),
        ("denoising", {"noise": 0}, "noise"),
        ("variational", {"latent": 0}, "latent"),
        ("variational", {"deviation": -1.0}, "deviation"),
        ("plain", {"noise": 1}, "noise"),
    ],
)
def test_bad_settings_are_named(name: str, settings: dict, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        create_objective(name, **settings)


def test_the_encoder_gets_what_its_preprocessing_gives() -> None:
    model = model_for(Plain())
    pixels = torch.rand(3, 3, 8, 8, generator=drawn())
    mean, std = (torch.tensor(values)[:, None, None] for values in (SCALE.mean, SCALE.std))
    torch.testing.assert_close(model.encode(pixels), model.encoder((pixels - mean) / std))
    blank = model.blank(pixels).expand(1, 3, 8, 8)
    torch.testing.assert_close(model.encode(blank), model.encoder(torch.zeros(1, 3, 8, 8)), atol=1e-5, rtol=0)
    codes = torch.randn(2, 12, generator=drawn())
    torch.testing.assert_close(model.decode(codes), model.decoder(codes) + mean)


@pytest.mark.parametrize("side", [8, 28, 32, 84])
def test_the_decoder_gives_images(side: int) -> None:
    assert Decoder(5, 1, side, width=4)(torch.randn(2, 5)).shape == (2, 1, side, side)


def test_plain_by_hand() -> None:
    model, pixels = model_for(Plain()), torch.rand(2, 3, 8, 8, generator=drawn())
    assert Plain().loss(model, pixels, drawn()).item() == pytest.approx(squared_error(model(pixels), pixels), rel=1e-5)


def test_denoising_by_hand() -> None:
    model, pixels = model_for(Denoising()), torch.rand(2, 3, 8, 8, generator=drawn())
    noisy = pixels + 0.4 * torch.randn(pixels.shape, generator=drawn(7))
    expected = squared_error(model(noisy), pixels)
    assert Denoising(noise=0.4).loss(model, pixels, drawn(7)).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_divergence_by_integration(seed: int) -> None:
    """KL of two normal distributions, by summing over a fine grid."""
    generator = drawn(seed)
    means = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    logs = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    expected, step = 0.0, 1e-3
    for mean, log in zip(means[0].tolist(), logs[0].tolist(), strict=True):
        deviation = math.exp(log / 2)
        for place in range(-12_000, 12_000):
            x = place * step
            p = math.exp(-((x - mean) ** 2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))
            if p > 1e-300:
                log_p = -((x - mean) ** 2) / (2 * deviation**2) - math.log(deviation)
                expected += step * p * (log_p + x**2 / 2)
    assert float(divergence_from_normal(means, logs)) == pytest.approx(expected, rel=1e-4)


def test_no_divergence_from_the_prior_itself() -> None:
    assert divergence_from_normal(torch.zeros(4, 6), torch.zeros(4, 6)).tolist() == [0.0] * 4


def test_bound_is_the_density_of_the_pixels() -> None:
    """-log p(x | z) + KL, without the constant of the Gaussian."""
    generator = drawn()
    found, pixels = (torch.rand(2, 1, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    means, logs = (torch.randn(2, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    bound = negative_bound(found, pixels, means, logs, 0.3)
    for image in range(2):
        density = torch.distributions.Normal(found[image], 0.3).log_prob(pixels[image]).sum()
        constant = -9 * math.log(0.3 * math.sqrt(2 * math.pi))
        kl = torch.distributions.kl_divergence(
            torch.distributions.Normal(means[image], (logs[image] / 2).exp()), torch.distributions.Normal(0.0, 1.0)
        ).sum()
        assert float(bound[image]) == pytest.approx(float(constant - density + kl), rel=1e-9)


def test_variational_by_hand() -> None:
    objective = Variational(latent=5, deviation=0.2)
    model, pixels = model_for(objective), torch.rand(2, 3, 8, 8, generator=drawn())
    told = model.code(model.encode(pixels))
    means, logs = told[:, :5], told[:, 5:]
    found = model.decode(means + torch.exp(0.5 * logs) * torch.randn(2, 5, generator=drawn(3)))
    expected = 0.0
    for image in range(2):
        errors = 192 * squared_error(found[image], pixels[image]) / (2 * 0.2**2)
        pairs = zip(means[image].tolist(), logs[image].tolist(), strict=True)
        expected += errors + sum(0.5 * (mean**2 + math.exp(log) - log - 1) for mean, log in pairs)
    assert objective.loss(model, pixels, drawn(3)).item() == pytest.approx(expected / 2 / 192, rel=1e-5)


@pytest.mark.parametrize(("side", "patch", "share"), [(8, 2, 0.5), (32, 4, 0.6), (28, 8, 0.75), (9, 4, 0.01)])
def test_hidden_patches(side: int, patch: int, share: float) -> None:
    hidden = hidden_pixels(6, side, patch, share, drawn())
    across = math.ceil(side / patch)
    for image in hidden[:, 0]:
        found = [[bool(image[row, column]) for column in range(0, side, patch)] for row in range(0, side, patch)]
        assert sum(map(sum, found)) == max(1, round(share * across**2))
        for row in range(side):
            for column in range(side):
                assert bool(image[row, column]) == found[row // patch][column // patch]
    assert len({tuple(image.flatten().tolist()) for image in hidden}) > 1
    assert torch.equal(hidden, hidden_pixels(6, side, patch, share, drawn()))


def test_a_patch_as_large_as_the_image_is_refused() -> None:
    with pytest.raises(InvalidInput, match="smaller"):
        hidden_pixels(1, 8, 8, 0.5, drawn())
    assert hidden_pixels(1, 8, 4, 0.99, drawn()).sum() == 3 * 16  # never all of it


def test_masked_by_hand() -> None:
    objective = Masked(patch=2, share=0.5)
    model, pixels = model_for(objective), torch.rand(3, 3, 8, 8, generator=drawn())
    hidden = hidden_pixels(3, 8, 2, 0.5, drawn(5))
    shown = pixels.clone()
    for image, _, row, column in hidden.nonzero().tolist():
        for channel in range(3):
            shown[image, channel, row, column] = SCALE.mean[channel]
    found, errors = model(shown), []
    for image, _, row, column in hidden.nonzero().tolist():
        errors += [(found[image, c, row, column] - pixels[image, c, row, column]).item() ** 2 for c in range(3)]
    assert objective.loss(model, pixels, drawn(5)).item() == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_what_is_not_hidden_does_not_count() -> None:
    hidden = hidden_pixels(2, 8, 2, 0.25, drawn())
    pixels, found = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    elsewhere = torch.where(hidden, found, found + 100)
    torch.testing.assert_close(error_of_hidden(found, pixels, hidden), error_of_hidden(elsewhere, pixels, hidden))


def test_batch_norms_are_those_of_the_batches() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    for _ in range(3):
        module(100 * torch.rand(4, 1, 3, 3))
    batches = [torch.rand(4, 1, 3, 3) for _ in range(2)]
    with torch.no_grad():
        maps = [module[0](batch) for batch in batches]
    measure_batch_norms(module, iter(batches))
    torch.testing.assert_close(module[1].running_mean, torch.cat(maps).mean((0, 2, 3)))
    torch.testing.assert_close(module[1].running_var, sum(each.var((0, 2, 3)) for each in maps) / 2)
    assert module[1].momentum == 0.1
    assert not module.training
