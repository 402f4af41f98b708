import numpy as np
import pytest
import torch

from fewshot.learners.features import l2_normalize, min_max_scale, power_transform, to_principal, to_span

SHAPES = [(2, 6, 40), (2, 40, 6), (2, 5, 5), (1, 1, 9), (1, 9, 1)]


def draw(shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def gram(features):
    return features.double() @ features.double().mT


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transform", [to_span, to_principal])
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_fewer_dimensions_with_the_same_products(transform, shape, scale):
    features = scale * draw(shape)
    found = transform(features)
    assert found.shape == (*shape[:2], min(shape[1:]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(gram(found) / scale**2, gram(features) / scale**2, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("transform", [to_span, to_principal])
def test_equal_items_zeros_and_padding_stay_so(transform):
    features = draw((1, 6, 40))
    features[0, 1], features[0, 4:] = features[0, 0], 0
    found = transform(features)
    torch.testing.assert_close(gram(found), gram(features), atol=1e-4, rtol=1e-5)
    assert transform(torch.zeros(1, 4, 9)).abs().max() < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_principal_columns_are_singular_directions(shape):
    features = draw(shape, torch.float64)
    found = to_principal(features)
    for task in range(shape[0]):
        left, values, _ = np.linalg.svd(features[task].numpy(), full_matrices=False)
        np.testing.assert_allclose(found[task].abs(), np.abs(left * values)[:, ::-1], atol=1e-8)


def test_l2_normalize():
    features = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    assert torch.equal(l2_normalize(features), torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


def test_power_transform():
    features = torch.tensor([4.0, -4.0, 0.0], dtype=torch.float64)
    expected = torch.tensor([(4 + 1e-6) ** 0.5, -((4 + 1e-6) ** 0.5), 1e-3], dtype=torch.float64)
    torch.testing.assert_close(power_transform(features), expected)
    torch.testing.assert_close(power_transform(features, 1.0)[0].item(), 4 + 1e-6)


def test_min_max_scale():
    features = draw((1, 5, 3))
    features[..., 2] = 7
    real = torch.tensor([1.0, 1, 1, 1, 0])[None, :, None]
    features[0, 4] = 100
    found = min_max_scale(features, real)
    items = features[0, :4, :2]
    torch.testing.assert_close(found[0, :4, :2], (items - items.amin(0)) / (items.amax(0) - items.amin(0)))
    assert found[0, :, 2].abs().max() == 0
    assert found[0, 4].abs().max() == 0
