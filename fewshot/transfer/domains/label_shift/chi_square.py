"""Test of label shift: do two sets of labels, or of a classifier's predictions, have the same class shares?

On predictions it is the test BBSDh of Rabanser et al. 2019 (Failing loudly), which needs no label of the target.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelShiftTest:
    """The chi² statistic of the 2 x C table of counts, its degrees of freedom and p value."""

    statistic: float
    freedom: int
    p_value: float


def label_shift_test(source: Tensor, target: Tensor, classes: int) -> LabelShiftTest:
    """Pearson's chi² test that class indices source (N,) and target (M,), in [0, classes), have the same shares.

    Classes that neither has are left out; p is 1 where only one is left.
    """
    from scipy.stats import chi2

    counts = torch.stack([torch.bincount(part, minlength=classes) for part in (source, target)]).double()
    counts = counts[:, counts.sum(0) > 0]
    expected = counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()
    statistic, freedom = float(((counts - expected).square() / expected).sum()), counts.shape[1] - 1
    return LabelShiftTest(statistic, freedom, float(chi2.sf(statistic, freedom)) if freedom else 1.0)
