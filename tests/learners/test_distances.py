import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from fewshot.learners.distances import (
    cosine_similarity,
    shifted_products,
    squared_distance,
    squared_distance_of_unit,
    squared_length,
)
from fewshot.learners.features import l2_normalize


@pytest.mark.parametrize(("left", "right", "dim"), [(1, 1, 1), (3, 5, 1), (7, 2, 40), (10, 100, 640)])
def test_both_agree_with_scipy(left, right, dim):
    a, b, shift = torch.randn(3, left, dim), torch.randn(3, right, dim), 0.5 * torch.rand(1, 1, dim)
    for task in range(3):
        x, y = a[task].double().numpy(), b[task].double().numpy()
        np.testing.assert_allclose(squared_distance(a, b)[task], cdist(x, y, "sqeuclidean"), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(cosine_similarity(a, b)[task], 1 - cdist(x, y, "cosine"), atol=1e-5)
        moved = x + shift.numpy()[0]
        units = moved / np.linalg.norm(moved, axis=1, keepdims=True)
        # the squares that are subtracted round by their own size, however small the distance that is left
        rounding = 1e-6 * (1 + (y**2).sum(1).max())
        of_unit = squared_distance_of_unit(a, b, shift)[task]
        np.testing.assert_allclose(of_unit, cdist(units, y, "sqeuclidean"), rtol=1e-5, atol=rounding)


@given(st.floats(-1e4, 1e4), st.integers(1, 50))
def test_a_distance_is_never_below_zero_and_a_cosine_never_beyond_one(value, dim):
    x = torch.full((1, 2, dim), value) + 1e-3 * torch.rand(1, 2, dim)
    assert (squared_distance(x, x) >= 0).all()
    assert cosine_similarity(x, x).abs().max() <= 1


def test_zero_vectors_have_cosine_zero_and_stay_zero():
    zeros = torch.zeros(1, 2, 3)
    assert torch.equal(cosine_similarity(zeros, torch.rand(1, 4, 3)), torch.zeros(1, 2, 4))
    assert torch.equal(l2_normalize(zeros), zeros)
    others = torch.rand(1, 4, 3)
    torch.testing.assert_close(squared_distance_of_unit(zeros, others, zeros[:, :1]), squared_distance(zeros, others))
    ones = torch.ones(1, 2, 3)
    torch.testing.assert_close(squared_distance_of_unit(ones, others, -ones[:, :1]), squared_distance(zeros, others))


@pytest.mark.parametrize("left_of_it", [1e-4, 1e-2, 0.05, 0.2, 1.0, 100.0])
@pytest.mark.parametrize("shifts", [1, 4])
def test_a_shift_that_cancels_the_items_costs_no_digits(left_of_it, shifts):
    """Items far from zero, moved back to it: what is left of them may be a ten thousandth of their length."""
    centre = 3 * torch.rand(shifts, 1, 64)
    items, others = centre + left_of_it * torch.randn(4, 7, 64), torch.randn(4, 5, 64)
    products, squares = shifted_products(items, squared_length(items), -centre, others)
    moved = items.double() - centre.double()
    lengths = moved.norm(dim=2, keepdim=True)
    torch.testing.assert_close(squares.double(), lengths.square(), rtol=1e-4, atol=0)
    cosines = moved @ others.double().mT / lengths / others.double().norm(dim=2)[:, None]
    found = products.double() / lengths / others.double().norm(dim=2)[:, None]
    torch.testing.assert_close(found, cosines, rtol=0, atol=1e-5)


def test_items_that_a_shift_cancels_do_not_hurt_those_beside_them():
    items, others, shift = torch.randn(2, 4, 16), torch.randn(2, 3, 16), torch.randn(2, 1, 16)
    items[0, 1] = -shift[0, 0]
    products, squares = shifted_products(items, squared_length(items), shift, others)
    torch.testing.assert_close(products, (items + shift) @ others.mT)
    torch.testing.assert_close(squares, squared_length(items + shift))
    assert squares[0, 1] == 0


def test_normalized_vectors_have_length_one():
    torch.testing.assert_close(l2_normalize(torch.randn(2, 3, 9)).norm(dim=-1), torch.ones(2, 3))
