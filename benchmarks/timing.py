"""Time several ways of doing the same work in one process, in turn, and keep the medians and ratios."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from fewshot.provenance import provenance

RESULTS = Path(__file__).parent / "results"


def side_by_side(ways: Mapping[str, Callable[[], Any]], rounds: int = 7) -> dict[str, dict[str, float]]:
    """Seconds of each way: median, least and most over `rounds`, run in turn (A B A B ...) after one warm-up each.

    `ratio` is the median over rounds of a way's time over that of the first way in the same round, so that a slow
    spell of the machine hits both.
    """
    return in_turn({name: partial(seconds_of, way) for name, way in ways.items()}, rounds)


def seconds_of(way: Callable[[], Any]) -> float:
    start = perf_counter()
    way()
    return perf_counter() - start


def in_turn(ways: Mapping[str, Callable[[], float]], rounds: int = 7) -> dict[str, dict[str, float]]:
    """As `side_by_side`, for ways that tell their seconds themselves."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
    first = next(iter(ways))
    return {
        name: {
            "median_s": median(times),
            "min_s": min(times),
            "max_s": max(times),
            "ratio": median(time / base for time, base in zip(times, seconds[first], strict=True)),
        }
        for name, times in seconds.items()
    }


def keep(name: str, content: Mapping[str, Any], shown: Mapping[str, Any] | None = None) -> None:
    """Write the measurements with their provenance to `results/<name>.json`, and print those `shown`, else all."""
    made = provenance("cuda" if torch.cuda.is_available() else "cpu")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({**content, "provenance": made}, indent=1) + "\n")
    for work, found in (content["measurements"] if shown is None else shown).items():
        print(work)
        for way, figures in found.items():
            print(f"  {way:<38} {figures['median_s'] * 1000:10.2f} ms   {figures['ratio']:8.2f} ×")
