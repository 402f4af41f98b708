import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from fewshot.learners.distances import cosine_similarity, squared_distance, squared_distance_of_unit
from fewshot.learners.features import l2_normalize


@pytest.mark.parametrize(("left", "right", "dim"), [(1, 1, 1), (3, 5, 1), (7, 2, 40), (10, 100, 640)])
def test_both_agree_with_scipy(left, right, dim):
    a, b = torch.randn(3, left, dim), torch.randn(3, right, dim)
    for task in range(3):
        x, y = a[task].double().numpy(), b[task].double().numpy()
        np.testing.assert_allclose(squared_distance(a, b)[task], cdist(x, y, "sqeuclidean"), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(cosine_similarity(a, b)[task], 1 - cdist(x, y, "cosine"), atol=1e-5)
        units = x / np.linalg.norm(x, axis=1, keepdims=True)
        # the squares that are subtracted round by their own size, however small the distance that is left
        rounding = 1e-6 * (1 + (y**2).sum(1).max())
        of_unit = squared_distance_of_unit(a, b)[task]
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
    torch.testing.assert_close(squared_distance_of_unit(zeros, others), squared_distance(zeros, others))


def test_normalized_vectors_have_length_one():
    torch.testing.assert_close(l2_normalize(torch.randn(2, 3, 9)).norm(dim=-1), torch.ones(2, 3))
