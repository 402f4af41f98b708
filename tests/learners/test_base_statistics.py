import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.learners import BaseStatistics


def test_the_mean_is_that_of_all_items():
    features = torch.rand(1000, 7) * 100
    base = BaseStatistics.from_features(features, backbone="abc")
    torch.testing.assert_close(base.mean, features.double().mean(0).float())
    assert base.backbone == "abc"


@pytest.mark.parametrize("features", [torch.rand(3), torch.rand(0, 3), torch.ones(3, 3, dtype=torch.int64)])
def test_other_shapes_are_refused(features):
    with pytest.raises(InvalidInput, match="base features must be floats"):
        BaseStatistics.from_features(features)


def test_features_that_are_not_finite_are_refused():
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        BaseStatistics.from_features(torch.tensor([[1.0, torch.nan]]))


def test_another_dimension_is_refused():
    with pytest.raises(InvalidInput, match="the base mean has 4 dimensions and the support 3"):
        BaseStatistics(torch.rand(4)).fitted_to(torch.rand(2, 5, 3))
