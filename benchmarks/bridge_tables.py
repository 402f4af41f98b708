"""The tables of docs/words.md from findings/bridges.json, which scripts/compare_bridges.py writes."""

import json
from pathlib import Path

FOUND = Path(__file__).parent / "findings" / "bridges.json"
DATASETS = {
    "caltech101": "Caltech-101, 99-way",
    "cifar-fs": "CIFAR-FS test, 20-way",
    "grocery-store": "Grocery Store, 81-way",
}


def bridges_section() -> str:
    """The tables: ways by names, what is said of classes, ways fitted on pictures, and learners with a few images."""
    content = json.loads(FOUND.read_text())
    return "\n\n".join(
        [
            "By the names of classes alone, no image used (templates: simple). Top-1 / top-5 over items; mean of the "
            "classes' top-1 ± 95 % t-interval over classes.",
            _by_names(content["names"], content["centred"]),
            "Differences of the classes' top-1, ± 95 % t-interval over classes, p of the paired t-test.",
            _paired(content["paired"]),
            "The default way by what is said of each class: top-1 / top-5.",
            _by_templates(content["names"]),
            "openmoji: 300 unseen emoji among themselves, bridges fitted on colour pictures and names of the other "
            "1,236, or on no picture; mean of five draws ± 95 % t-interval over draws, which overlap. Chance is 0.33 "
            "and 1.67.",
            _by_pictures(content["openmoji"]),
            "What each space is worth to a learner that sees images: 5-way accuracy, ± 95 % t-interval over 600 tasks.",
            _by_space(content["few_shot"]),
        ]
    )


def _table(heads: list[str], rows: list[list[str]], words: int) -> str:
    """A table whose first `words` columns are text."""
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * words + "---:|" * (len(heads) - words)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _way(row: dict) -> str:
    return ", ".join([row["how"], *(f"{value}" for value in row["settings"].values())])


def _both(row: dict) -> str:
    return f"{100 * row['top1']:.1f} / {100 * row['top5']:.1f}"


def _by_names(found: list[dict], centred: list[dict]) -> str:
    """The ways, and below them those of which the images' own mean was taken off, which asks for unlabelled images."""
    simple = {(_way(row), row["dataset"]): row for row in found if row["templates"] == "simple"}
    simple |= {(f"{row['how']}, images less their mean", row["dataset"]): row for row in centred}
    rows = []
    for way in dict.fromkeys(way for way, _ in simple):
        own = [simple[way, dataset] for dataset in DATASETS]
        cells = [f"{_both(row)}; {100 * row['class_mean']:.1f} ± {100 * row['ci95']:.1f}" for row in own]
        rows.append([way, *cells])
    return _table(["way", *DATASETS.values()], rows, 1)


def _paired(found: list[dict]) -> str:
    rows = [
        [
            DATASETS[row["dataset"]].partition(",")[0],
            " less ".join(f"{how} ({said})" for how, said in row["ways"]),
            f"{100 * row['difference']:+.1f} ± {100 * row['ci95']:.1f}",
            f"{row['p']:.2g}",
        ]
        for row in found
    ]
    return _table(["data set", "difference", "points", "p"], rows, 2)


def _by_templates(found: list[dict]) -> str:
    own = {(row["templates"], row["dataset"]): row for row in found if row["how"] == "kernel" and not row["settings"]}
    kinds = dict.fromkeys(kind for kind, _ in own)
    rows = [[kind, *(_both(own[kind, each]) if (kind, each) in own else "" for each in DATASETS)] for kind in kinds]
    return _table(["said", *DATASETS.values()], rows, 1)


def _by_pictures(found: list[dict]) -> str:
    rows = [
        [
            row["how"],
            row["templates"],
            *(f"{100 * row[key]['mean']:.1f} ± {100 * row[key]['ci95']:.1f}" for key in ("top1", "top5")),
        ]
        for row in found
    ]
    return _table(["way", "templates", "top-1", "top-5"], rows, 2)


def _by_space(found: list[dict]) -> str:
    cells = {(row["space"], row["learner"], row["dataset"], row["shots"]): row for row in found}
    columns = dict.fromkeys((dataset, shots) for _, _, dataset, shots in cells)
    heads = [f"{DATASETS[dataset].partition(',')[0]}, {shots}-shot" for dataset, shots in columns]
    rows = []
    for space, learner in dict.fromkeys((space, learner) for space, learner, _, _ in cells):
        own = [cells[space, learner, *column] for column in columns]
        rows.append([space, learner, *(f"{100 * row['accuracy']:.1f} ± {100 * row['ci95']:.1f}" for row in own)])
    return _table(["space", "learner", *heads], rows, 2)
