"""Experiments as tables and curves: the paper's numbers, what was to be reached, and ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fewshot.benchmark.experiments.adaptation import Adaptation
from fewshot.benchmark.experiments.catalogue import AnyExperiment
from fewshot.benchmark.experiments.domain_transfer import DomainTransfer
from fewshot.benchmark.experiments.experiment import Experiment
from fewshot.benchmark.experiments.measured import AdaptedOurs, Measured, Ours

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def experiment_rows(experiments: Iterable[AnyExperiment]) -> list[dict[str, Any]]:
    """One row an evaluation; what is not known is None, accuracies are per cent with 95 % intervals."""
    return [_row(each, number) for each in experiments for number in range(len(each.evaluations))]


def told_rows(experiments: Iterable[AnyExperiment]) -> list[dict[str, Any]]:
    """`experiment_rows` for readers: what has not been run says so."""
    return [{**row, "ours": row["ours"] or "not run"} for row in experiment_rows(experiments)]


def experiment_facts(experiment: AnyExperiment) -> dict[str, str]:
    """The paper, how its experiment is done here, what differs from the paper, and what was found; texts by name."""
    how, *notes = _how(experiment)
    arxiv = f", arXiv:{experiment.paper.arxiv}" if experiment.paper.arxiv else ""
    facts = {
        "paper": experiment.paper.citation + arxiv,
        "how": how,
        "note": " ".join(notes),
        "finding": experiment.finding,
    }
    return {name: text for name, text in facts.items() if text}


def experiments_markdown(experiments: Sequence[AnyExperiment]) -> str:
    """A table of all evaluations, then for each experiment how it was made and what was found."""
    heads = ["experiment", "task", "published", "goal", "ours", "reached"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|---:|---:|---:|---|"]
    before = ""
    for row in told_rows(experiments):
        shown = {**row, "experiment": "" if row["experiment"] == before else f"[{row['experiment']}](#{_anchor(row)})"}
        before = row["experiment"]
        lines.append("| " + " | ".join(_cell(shown[head]) for head in heads) + " |")
    if any(each.ours for each in experiments if isinstance(each, Experiment)):
        lines += ["", "![Accuracy over training steps](experiments.png)"]
    told: dict[tuple[str, ...], str] = {}
    return "\n".join([*lines, "", *("\n".join(_section(each, told)) for each in experiments)])


def curves_figure(experiments: Sequence[AnyExperiment], columns: int = 3) -> Figure | None:
    """Accuracy over training steps, a panel for each experiment that has been recorded; None where none has."""
    from matplotlib.figure import Figure

    recorded = [(each.id, each.ours) for each in experiments if isinstance(each, Experiment) and each.ours]
    if not recorded:
        return None
    rows = -(-len(recorded) // columns)
    figure = Figure(figsize=(4 * columns, 2.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (name, ours) in zip(panels, recorded, strict=False):
        for place, label in ((2, "training"), (3, "validation")):
            points = [(row[0], 100 * value) for row in ours.curve if (value := row[place]) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), label=label)
        axes.set_title(name, fontsize=8)
        axes.set(xlabel="step", ylabel="accuracy, %")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    for axes in panels[len(recorded) :]:
        axes.remove()
    return figure


def _row(experiment: AnyExperiment, number: int) -> dict[str, Any]:
    evaluation: Any = experiment.evaluations[number]
    task = evaluation.task if isinstance(experiment, Experiment) else experiment.task(evaluation)
    measured = experiment.ours.results[number] if experiment.ours else None
    return {
        "experiment": experiment.id,
        "task": task,
        "published": _with_interval(evaluation.published, evaluation.published_ci95, ""),
        "goal": None if evaluation.goal is None else f"{evaluation.goal:g}",
        "ours": _with_interval(measured.percent, measured.ci95, ".2f") if measured else None,
        "reached": _reached(evaluation.goal, measured),
        "hours": experiment.ours.hours if experiment.ours else None,
    }


def _reached(goal: float | None, measured: Measured | None) -> str | None:
    if measured is None or goal is None:
        return None
    return "yes" if measured.percent >= goal else "no"


def _section(experiment: AnyExperiment, told: dict[tuple[str, ...], str]) -> list[str]:
    """Heading, paper, how it was made, and what was found; told: the experiment that tells each list of data sets."""
    paper = experiment.paper
    arxiv = f" ([arXiv:{paper.arxiv}](https://arxiv.org/abs/{paper.arxiv}))" if paper.arxiv else ""
    lines = [f"### {experiment.id}", "", f"{paper.citation}{arxiv}.", "", *_how(experiment, told)]
    made = [_mean_of_pairs(experiment)] if isinstance(experiment, DomainTransfer) and experiment.ours else []
    made += [_made(experiment.ours) if experiment.ours else f"Not run yet: `fewshot bench reproduce {experiment.id}`."]
    found = [f"Finding: {experiment.finding}"] if experiment.finding else []
    return [*lines, *(line for text in made + found for line in ("", text)), ""]


def _mean_of_pairs(experiment: DomainTransfer) -> str:
    """Ours and the published mean over the pairs that both have."""
    found = experiment.ours.results if experiment.ours else ()
    both = [
        (pair.published, measured.percent)
        for pair, measured in zip(experiment.evaluations, found, strict=True)
        if pair.published is not None
    ]
    published, ours = (sum(column) / len(both) for column in zip(*both, strict=True))
    return f"Mean over {len(both)} pairs: published {published:.2f}, ours {ours:.2f}."


def _how(experiment: AnyExperiment, told: dict[tuple[str, ...], str] | None = None) -> list[str]:
    """Learner, backbone and data, and the notes on them; data sets that another experiment tells are not told again."""
    if isinstance(experiment, Adaptation):
        teller = (told if told is not None else {}).setdefault(experiment.sets, experiment.id)
        sets = ", ".join(experiment.sets) if teller == experiment.id else f"the data sets of {teller}"
        first = experiment.data[0]
        how = f"{first.episodes} draws, tuning {first.tuning}; {sets}"
        return [f"{_learner(experiment)} on `{experiment.backbone}`; {how}.", *filter(None, [experiment.note])]
    if isinstance(experiment, DomainTransfer):
        how = f"{_learner(experiment)} on the features `{experiment.table}`, all items of both domains."
        return [how, *filter(None, [experiment.note])]
    data = experiment.data
    start = "pretrained" if experiment.pretrained else "from random weights"
    validation = f"validated on {data.validation}" if data.validation else "no validation, the last model is tested"
    lines = [f"{_learner(experiment)} on `{experiment.backbone}`, {start}; trained on {data.train}, {validation}, "
             f"tested on {data.test}."]  # fmt: skip
    return lines + [text for text in (data.note, experiment.note) if text]


def _learner(experiment: AnyExperiment) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in experiment.settings.items())
    return f"`{experiment.method}`" + (f" with {settings}" if settings else "")


def _made(ours: Ours | AdaptedOurs) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in ours.provenance["packages"].items())
    tasks = ", ".join(dict.fromkeys(f"{result.tasks:,} tasks (seed {result.seed})" for result in ours.results))
    if isinstance(ours, AdaptedOurs):
        draws = ours.results[0]
        over = f"{draws.tasks} draws (seed {draws.seed})" if ours.draws else "intervals over the target's items"
        return (
            f"Ours: {over} in {ours.hours:.2f} hours on {ours.provenance['hardware']}; {packages}; "
            f"{ours.provenance['date']}."
        )
    return (
        f"Ours: {ours.hours:.2f} hours of training on {ours.provenance['hardware']}, {ours.steps:,} steps with seed "
        f"{ours.seed}, of which the model of step {ours.best_step:,} was tested on {tasks}; {packages}; "
        f"{ours.provenance['date']}."
    )


def _with_interval(percent: float | None, ci95: float | None, form: str) -> str | None:
    """`98.72 ± 0.11`; with an empty form as the numbers were given."""
    if percent is None:
        return None
    return f"{percent:{form}}" if ci95 is None else f"{percent:{form}} ± {ci95:{form}}"


def _anchor(row: dict[str, Any]) -> str:
    return row["experiment"].replace("/", "").lower()


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
