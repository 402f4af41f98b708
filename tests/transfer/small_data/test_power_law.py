"""The power law against scipy's bounded least squares, and what is foretold from it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fewshot.errors import InvalidInput
from fewshot.transfer.small_data import Extrapolation, LearningCurve, PowerLaw, draw_learning_curve, fit_power_law
from fewshot.transfer.small_data.power_law import RATES

SHOTS = [1, 2, 4, 8, 16]


@pytest.mark.parametrize(("floor", "scale", "place"), [(0.1, 0.6, 150), (0.0, 0.9, 60), (0.3, 0.3, 250), (0.4, 0, 0)])
def test_an_exact_law_is_found_again(floor: float, scale: float, place: int) -> None:
    law = PowerLaw(floor, scale, float(RATES[place]))
    errors = torch.tensor([[law.error(n) for n in SHOTS]], dtype=torch.float64)
    found = fit_power_law(SHOTS, errors)[0]
    assert (found.floor, found.scale) == pytest.approx((floor, scale), abs=1e-9)
    assert found.error(64) == pytest.approx(law.error(64), abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_against_scipy(seed: int) -> None:
    from scipy.optimize import least_squares

    rng = np.random.default_rng(seed)
    law = PowerLaw(rng.uniform(0, 0.3), rng.uniform(0.1, 0.6), rng.uniform(0.1, 1.5))
    errors = np.array([law.error(n) for n in SHOTS]) + 0.02 * rng.normal(size=5)
    weights = np.sqrt(np.arange(1, 6) / 15)

    def gaps(x: np.ndarray) -> np.ndarray:
        return weights * (x[0] + x[1] * np.array(SHOTS, dtype=float) ** -x[2] - errors)

    starts = [(0.1, 0.5, c) for c in (0.06, 0.2, 0.5, 1.0, 2.5)]
    best = min(
        (least_squares(gaps, start, bounds=([0, 0, 0.05], [1, np.inf, 3]), xtol=1e-14, ftol=1e-14) for start in starts),
        key=lambda found: found.cost,
    )
    found = fit_power_law(SHOTS, torch.tensor(errors)[None])[0]
    cost = 0.5 * np.sum(gaps(np.array([found.floor, found.scale, found.rate])) ** 2)
    assert best.cost <= cost + 1e-12
    assert cost == pytest.approx(best.cost, rel=1e-3, abs=1e-10)
    assert [found.error(n) for n in SHOTS] == pytest.approx(
        best.x[0] + best.x[1] * np.array(SHOTS) ** -best.x[2], abs=2e-4
    )


def test_rows_do_not_depend_on_each_other() -> None:
    errors = 0.2 + 0.5 * torch.rand(7, 5, dtype=torch.float64)
    for law, row in zip(fit_power_law(SHOTS, errors), errors, strict=True):
        alone = fit_power_law(SHOTS, row[None])[0]
        assert [law.error(n) for n in SHOTS] == pytest.approx([alone.error(n) for n in SHOTS])


def test_a_rising_error_gives_a_level_line() -> None:
    law = fit_power_law([1, 2, 4], torch.tensor([[0.1, 0.2, 0.3]]))[0]
    assert law.scale == 0
    assert law.floor == pytest.approx((0.1 + 2 * 0.2 + 3 * 0.3) / 6)
    assert law.shots_for(0.5) == 0
    assert law.shots_for(0.1) == math.inf


def _curve(floor: float, draws: int = 20, shots: tuple[int, ...] = (1, 2, 4, 8)) -> LearningCurve:
    mean = torch.tensor([1 - PowerLaw(floor, 0.5, 0.7).error(n) for n in shots], dtype=torch.float64)
    return LearningCurve(shots, (mean + 0.03 * torch.randn(draws, len(shots))).clamp(0, 1).double(), ways=10)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    truth = 1 - PowerLaw(0.1, 0.5, 0.7).error(16)
    held = [Extrapolation(_curve(0.1), resamples=200, seed=seed).accuracy(16).holds(truth) for seed in range(60)]
    assert sum(held) >= 54  # 95 % of 60 are 57, less two standard deviations of a share


def test_a_goal_within_reach_one_beyond_and_one_there_already() -> None:
    found = Extrapolation(_curve(0.05), resamples=300)
    goal = found.goal(0.8)
    expected = (0.5 / 0.15) ** (1 / 0.7)
    assert goal.shots.low <= expected <= goal.shots.high
    assert goal.reachable > 0.95
    assert found.goal(0.4).more_labels.value == 0
    assert "which there are" in str(found.goal(0.4))
    far = Extrapolation(_curve(0.3), resamples=300).goal(0.95)
    assert math.isinf(far.shots.value)
    assert "not reachable by this curve" in str(far)
    assert json.loads(json.dumps(far.to_json()))["shots"]["value"] is None
    assert "needs about" in str(Extrapolation(_curve(0.05)).goal(0.85))


def test_more_draws_narrow_the_interval_and_the_seed_repeats_it() -> None:
    few, many = (Extrapolation(_curve(0.1, draws), resamples=400).accuracy(32) for draws in (5, 400))
    assert many.high - many.low < (few.high - few.low) / 2
    curve = _curve(0.1)
    assert Extrapolation(curve, 50, 3).accuracy(32) == Extrapolation(curve, 50, 3).accuracy(32)


def test_picture(tmp_path: Path) -> None:
    found = Extrapolation(_curve(0.1), resamples=40)
    draw_learning_curve(tmp_path / "curve.png", found, "ten classes", (found.goal(0.8),))
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input() -> None:
    with pytest.raises(InvalidInput, match="three numbers of shots"):
        fit_power_law([1, 2], torch.tensor([[0.5, 0.4]]))
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        fit_power_law([1, 2, 4], torch.tensor([[0.5, 0.4, torch.nan]]))
    with pytest.raises(InvalidInput, match="two draws"):
        Extrapolation(_curve(0.1, draws=1))
    with pytest.raises(InvalidInput, match=r"such as 0.9, found 90"):
        Extrapolation(_curve(0.1)).goal(90)
    with pytest.raises(InvalidInput, match="above 0"):
        Extrapolation(_curve(0.1)).accuracy(0)
