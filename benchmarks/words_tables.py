"""The tables of learners with words in docs/words.md, and their plot, from the results in words_store/."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fewshot.benchmark.report import markdown_report
from fewshot.benchmark.result import Result
from fewshot.benchmark.store import ResultStore
from fewshot.metrics import paired_test

STORE = Path(__file__).parent / "words_store"
KINDS: dict[str, tuple[str, Callable[[Result], bool]]] = {
    "words alone": ("0.0", lambda result: result.learner["name"] == "zero-shot"),
    "images alone": ("0.55", lambda result: not result.learner["needs_words"]),
    "both, seeing all queries": ("C2", lambda result: result.learner["transductive"]),
    "both, trained": ("C1", lambda result: {"rate", "momentum"} & result.learner["settings"].keys() != set()),
    "both, nothing trained": ("C0", lambda result: True),
}


def load_results() -> list[Result]:
    """All results of the store."""
    return list(ResultStore(STORE))


def few_shot_section(results: list[Result]) -> str:
    """What one image adds to words and words to one image, then all numbers."""
    return f"{gains(results)}\n\n{markdown_report(results)}"


def kind_of(result: Result) -> str:
    """Which of `KINDS` a result belongs to: the first that fits."""
    return next(kind for kind, (_, fits) in KINDS.items() if fits(result))


def gains(results: list[Result]) -> str:
    """A table a shot: words alone, the best by images alone, the best by both, and what both add to either."""
    lines = [
        "Do words and one image beat each alone? The best learner of its kind in each row (picked on these numbers, so "
        "that the picked ones flatter themselves a little), and the ensemble of zero-shot and the linear probe, which "
        "nothing was picked for; differences are paired over the ten draws, ± 95 % t-interval.",
        "",
        "| data set | shots | words alone | images alone | both | both − words | both − images | zero-shot + "
        "linear-probe | it − words | it − linear-probe |",
        "|---|---:|---:|---|---|---:|---:|---:|---:|---:|",
    ]
    for (dataset, shots), found in sorted(_by_task(results).items()):
        one_by_one = [result for result in found if not result.learner["transductive"]]
        words = _best(result for result in one_by_one if kind_of(result) == "words alone")
        images = _best(result for result in one_by_one if kind_of(result) == "images alone")
        both = _best(result for result in one_by_one if kind_of(result).startswith("both"))
        probe = _best(result for result in found if result.learner["name"] == "linear-probe")
        joined = _best(result for result in found if result.learner["name"] == "ensemble")
        if None in (words, images, both, probe, joined):
            continue
        cells = [dataset, str(shots), _percent(words), _named(images), _named(both), _gain(both, words)]
        cells += [_gain(both, images), _percent(joined), _gain(joined, words), _gain(joined, probe)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def few_shot_figure(results: list[Result]) -> Any:
    """Accuracy by shots, a panel a data set: every learner a line with its name at the end, coloured by kind."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    datasets = sorted({result.protocol.dataset for result in results})
    figure = Figure(figsize=(6.5 * len(datasets), 8), layout="constrained")
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        own = [result for result in results if result.protocol.dataset == dataset]
        _panel(axes, own)
        first = own[0]
        axes.set_title(f"{dataset}, {first.dataset['classes']} classes", fontsize="medium")
    figure.supxlabel("support images a class", fontsize="medium")
    figure.supylabel("accuracy (%), mean of ten draws with 95 % interval", fontsize="medium")
    handles = [Line2D([], [], color=colour, label=kind) for kind, (colour, _) in KINDS.items()]
    figure.legend(handles=handles, frameon=False, fontsize="small", loc="outside upper center", ncols=len(handles))
    return figure


def _panel(axes: Any, results: list[Result]) -> None:
    curves: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda result: result.protocol.shots):
        curves.setdefault(result.learner_label, []).append(result)
    ends = []
    for label, found in curves.items():
        shots = [result.protocol.shots for result in found]
        means = [100 * result.accuracy for result in found]
        colour = KINDS[kind_of(found[0])][0]
        axes.errorbar(shots, means, [100 * result.ci95 for result in found], color=colour, lw=1.2, capsize=2, alpha=0.8)
        name = "zero-shot + linear-probe" if found[0].learner["name"] == "ensemble" else label
        ends.append((means[-1], shots[-1], name, colour))
    ticks = sorted({result.protocol.shots for result in results})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(ticks[0] * 0.9, ticks[-1] * 3.2)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _name_lines(axes, ends, at=ticks[-1] * 1.3)


def _name_lines(axes: Any, ends: list[tuple[float, int, str, str]], at: float) -> None:
    """Names beside the ends of lines, moved apart so that none covers another."""
    low, high = axes.get_ylim()
    room = (high - low) / 42
    place = high
    for mean, shots, name, colour in sorted(ends, reverse=True):
        place = min(mean, place - room)
        axes.annotate(
            name, (shots, mean), (at, place), color=colour, fontsize="x-small", va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.4, "alpha": 0.5, "relpos": (0, 0.5)},
        )  # fmt: skip


def _by_task(results: Iterable[Result]) -> dict[tuple[str, int], list[Result]]:
    found: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        found.setdefault((result.protocol.dataset, result.protocol.shots), []).append(result)
    return found


def _best(results: Iterable[Result]) -> Result | None:
    return max(results, key=lambda result: result.accuracy, default=None)


def _percent(result: Result | None) -> str:
    assert result is not None
    return f"{100 * result.accuracy:.1f}"


def _named(result: Result | None) -> str:
    assert result is not None
    return f"{_percent(result)} {result.learner_label}"


def _gain(a: Result | None, b: Result | None) -> str:
    assert a is not None
    assert b is not None
    difference = paired_test(a.per_episode, b.per_episode).difference
    return f"{100 * difference.mean:+.1f} ± {100 * difference.half_width:.1f}"


if __name__ == "__main__":
    print(few_shot_section(load_results()))
