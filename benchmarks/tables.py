"""Make the tables of docs/speed.md from the measurements in results/, of docs/experiments.md from the experiments,
and of docs/attributes.md, docs/classify.md, docs/index.md and docs/words.md from findings/.

Run it as `uv run python benchmarks/tables.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path

from bridge_tables import bridges_section
from classify_tables import classify_section
from index_tables import rejection_section, rules_section, speed_section, ways_section
from new_classes_tables import new_classes_section
from timing import RESULTS
from tuning_tables import tuning_section
from variation_tables import variations_section
from words_tables import few_shot_figure, few_shot_section, load_results

from fewshot.benchmark.experiments import curves_figure, experiments_markdown, list_experiments, load_experiment
from fewshot.benchmark.report import replace_block
from fewshot.files import whole_file
from fewshot.transfer import TransferStore
from fewshot.transfer.report import report

PAGE = Path(__file__).parent.parent / "docs" / "speed.md"
EXPERIMENTS = PAGE.with_name("experiments.md")
ATTRIBUTES = PAGE.with_name("attributes.md")
WORDS = PAGE.with_name("words.md")
CLASSIFY = PAGE.with_name("classify.md")
INDEX = PAGE.with_name("index.md")
TRANSFER = PAGE.with_name("transfer_report.md")
FINDINGS = Path(__file__).parent / "findings"


# what some programs measure beside time: the head of the column, and how a number is written
COLUMNS: dict[str, tuple[str, Callable[[dict], str]]] = {
    "per_second": ("per second", lambda found: f"{found['per_second']:.3g}"),
    "floor_s": ("time over the floor", lambda found: f"{found['median_s'] / found['floor_s']:.1f}"),
    "accuracy": ("accuracy (%)", lambda found: f"{100 * found['accuracy']:.1f}"),
}


def section(path: Path) -> str:
    """One program's measurements as a heading, its work, and a table."""
    content = json.loads(path.read_text())
    made = content["provenance"]
    work = (
        content.get("work") or f"{content['count']:,} vectors of {content['dim']} values, {content['threads']} thread"
    )
    program = content.get("program", path.stem)
    head = f"### `benchmarks/{program}.py`" + ("" if program == path.stem else f", kept as {path.stem}")
    lines = [head, "", f"{work}.", ""]
    measured = {name for ways in content["measurements"].values() for found in ways.values() for name in found}
    more = [name for name in COLUMNS if name in measured]
    heads = ["work", "way", "median", "range", "time over the first", *(COLUMNS[name][0] for name in more)]
    lines += [f"| {' | '.join(heads)} |", "|---|---|---:|---:|---:|" + "---:|" * len(more)]
    for work, ways in content["measurements"].items():
        for way, found in ways.items():
            span = f"{milliseconds(found['min_s'])} to {milliseconds(found['max_s'])}"
            cells = [work, way, milliseconds(found["median_s"]), span, f"{found['ratio']:.2f}"]
            cells += [COLUMNS[name][1](found) if name in found else "" for name in more]
            lines.append(f"| {' | '.join(cells)} |")
            work = ""
    packages = ", ".join(f"{name} {version}" for name, version in (made["packages"] | content.get("peers", {})).items())
    lines += ["", f"{made['hardware']}; Python {made['python']}, {packages}; {made['date']}."]
    return "\n".join(lines)


def milliseconds(seconds: float) -> str:
    """Three significant digits, in ms below ten seconds."""
    return f"{seconds:.1f} s" if seconds >= 10 else f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


def renew_experiments() -> None:
    """The tables of experiments, and their curves beside them."""
    experiments = [load_experiment(name) for name in list_experiments()]
    replace_block(EXPERIMENTS, experiments_markdown(experiments))
    if figure := curves_figure(experiments):
        with whole_file(EXPERIMENTS.with_suffix(".png")) as beside:
            figure.savefig(beside, format="png", dpi=110)


def renew_few_shot() -> None:
    """The tables of learners with words, and their plot beside them."""
    results = load_results()
    replace_block(WORDS, few_shot_section(results), block="few-shot")
    with whole_file(WORDS.with_suffix(".png")) as beside:
        few_shot_figure(results).savefig(beside, format="png", dpi=110)


def attributes_section() -> str:
    """The comparison of attribute methods as a table."""
    content = json.loads((FINDINGS / "attributes.json").read_text())
    heads = {
        "zero_shot": "zero-shot",
        "harmonic": "harmonic",
        "stacked_seen": "seen, stacked",
        "stacked_unseen": "unseen, stacked",
        "stacked_harmonic": "harmonic, stacked",
        "area": "AUSUC",
    }
    lines = [f"{content['work']}.", "", f"| described by | tuning | method | {' | '.join(heads.values())} |"]
    lines.append("|---|---|---|" + "---:|" * len(heads))
    for row in content["found"]:
        cells = [f"{100 * row['scores'][key]['mean']:.1f} ± {100 * row['scores'][key]['ci95']:.1f}" for key in heads]
        lines.append(f"| {row['words']} | {row['tuning']} | {row['method']} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    replace_block(PAGE, "\n\n".join(section(path) for path in sorted(RESULTS.glob("*.json"))))
    renew_experiments()
    replace_block(EXPERIMENTS, variations_section(), block="variations")
    replace_block(ATTRIBUTES, attributes_section())
    replace_block(WORDS, bridges_section())
    renew_few_shot()
    replace_block(WORDS, tuning_section(), block="tuning")
    replace_block(WORDS, new_classes_section(), block="new-classes")
    replace_block(CLASSIFY, classify_section())
    with whole_file(TRANSFER) as beside:
        beside.write_text(report(TransferStore(Path(__file__).parent / "transfer_store")), encoding="utf-8")
    replace_block(INDEX, ways_section(), block="ways")
    replace_block(INDEX, rules_section(), block="rules")
    replace_block(INDEX, rejection_section(), block="rejection")
    replace_block(INDEX, speed_section(), block="index-speed")
    pages = ", ".join(page.name for page in (PAGE, EXPERIMENTS, ATTRIBUTES, WORDS, CLASSIFY, INDEX, TRANSFER))
    print(f"renewed the tables in {pages}")
