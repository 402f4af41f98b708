"""How far two domains lie apart: functions of two sets of features, with p values and intervals."""

from fewshot.transfer.domains.distances.coral import coral_distance, coral_loss, relative_coral_distance
from fewshot.transfer.domains.distances.kernels import (
    KERNELS,
    GaussianKernel,
    GaussianMixtureKernel,
    LaplacianKernel,
    LinearKernel,
    PolynomialKernel,
    kernel_for,
    median_distance,
)
from fewshot.transfer.domains.distances.mmd import MMDTest, mmd_squared, mmd_test
from fewshot.transfer.domains.distances.proxy_a import ProxyADistance, proxy_a_distance

__all__ = [
    "KERNELS",
    "GaussianKernel",
    "GaussianMixtureKernel",
    "LaplacianKernel",
    "LinearKernel",
    "MMDTest",
    "PolynomialKernel",
    "ProxyADistance",
    "coral_distance",
    "coral_loss",
    "kernel_for",
    "median_distance",
    "mmd_squared",
    "mmd_test",
    "proxy_a_distance",
    "relative_coral_distance",
]
