"""The tables of docs/words.md from findings/: bridges.json, by scripts/compare_bridges.py, and emoji.json, by
scripts/compare_emoji.py.
"""

import json
import math
from pathlib import Path

from fewshot.metrics.interval import t_quantile

FINDINGS = Path(__file__).parent / "findings"
DATASETS = {
    "caltech101": "Caltech-101, 99-way",
    "cifar-fs": "CIFAR-FS test, 20-way",
    "grocery-store": "Grocery Store, 81-way",
}


def bridges_section() -> str:
    """The tables: ways by names, what is said of classes, ways fitted on pictures, and learners with a few images."""
    content = json.loads((FINDINGS / "bridges.json").read_text())
    emoji = json.loads((FINDINGS / "emoji.json").read_text())["found"]
    return "\n\n".join(
        [
            "By the names of classes alone, no image used (templates: simple). Top-1 / top-5 ± 95 % t-interval over "
            "items, which takes the classes as given; mean of the classes' top-1 ± 95 % t-interval over classes.",
            _by_names(content["names"], content["centred"]),
            "Differences of the classes' top-1, ± 95 % t-interval over classes, p of the paired t-test.",
            _paired(content["paired"]),
            "The default way by what is said of each class, with intervals as above.",
            _by_templates(content["names"]),
            _of_top5(content["names"]),
            "openmoji: 300 unseen emoji among themselves, bridges fitted on colour pictures and names of the other "
            "1,236, or on no picture; mean of five draws ± 95 % t-interval over draws, which overlap. Chance is 0.33 "
            "and 1.67.",
            _by_pictures(content["openmoji"]),
            "300 unseen emoji by name, by whose drawings the bridges are fitted and tested on (templates: name; five "
            "draws, the same for the same emoji). Top-1 / top-5 ± 95 % t-interval over draws, which overlap. The first "
            "row measures the task above again, to within .3 points.",
            _by_drawings(emoji),
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


def _scores(row: dict) -> str:
    """Top-1 / top-5; mean of the classes' top-1, each with its interval."""
    items = [f"{100 * row[key]:.1f} ± {100 * _over_items(row[key], row['items']):.1f}" for key in ("top1", "top5")]
    return f"{' / '.join(items)}; {100 * row['class_mean']:.1f} ± {100 * row['ci95']:.1f}"


def _over_items(share: float, items: int) -> float:
    """Half of the 95 % t-interval of a mean of zeros and ones."""
    return t_quantile(0.95, items - 1) * math.sqrt(share * (1 - share) / (items - 1))


def _by_names(found: list[dict], centred: list[dict]) -> str:
    """The ways, and below them those of which the images' own mean was taken off, which asks for unlabelled images."""
    simple = {(_way(row), row["dataset"]): row for row in found if row["templates"] == "simple"}
    simple |= {(f"{row['how']}, images less their mean", row["dataset"]): row for row in centred}
    rows = []
    for way in dict.fromkeys(way for way, _ in simple):
        rows.append([way, *(_scores(simple[way, dataset]) for dataset in DATASETS)])
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
    rows = [[kind, *(_scores(own[kind, each]) if (kind, each) in own else "" for each in DATASETS)] for kind in kinds]
    return _table(["said", *DATASETS.values()], rows, 1)


def _of_top5(found: list[dict]) -> str:
    own = {row["templates"]: row["top5"] for row in found if (row["how"], row["dataset"]) == ("kernel", "cifar-fs")}
    simple, more = (f"{100 * own[kind]:.1f}" for kind in ("simple", "imagenet-simple"))
    return (
        f"Top-5 on CIFAR-FS is {simple} with the default template, below the 87.1 of a first look; `imagenet-simple` "
        f"has {more}. The default was left as it is: a choice by these rows would be one on the test classes."
    )


def _by_pictures(found: list[dict]) -> str:
    rows = [[row["how"], row["templates"], *_over_draws(row)] for row in found]
    return _table(["way", "templates", "top-1", "top-5"], rows, 2)


def _by_drawings(found: dict[str, dict]) -> str:
    ways = list(next(iter(found.values()))["ways"])
    rows = [
        [drawings, f"{row['seen']:,}", *(" / ".join(_over_draws(row["ways"][way])) for way in ways)]
        for drawings, row in found.items()
    ]
    return _table(["drawings", "seen", *ways], rows, 1)


def _over_draws(row: dict) -> list[str]:
    """Top-1 and top-5, each with its interval over draws."""
    return [f"{100 * row[key]['mean']:.1f} ± {100 * row[key]['ci95']:.1f}" for key in ("top1", "top5")]


def _by_space(found: list[dict]) -> str:
    cells = {(row["space"], row["learner"], row["dataset"], row["shots"]): row for row in found}
    columns = dict.fromkeys((dataset, shots) for _, _, dataset, shots in cells)
    heads = [f"{DATASETS[dataset].partition(',')[0]}, {shots}-shot" for dataset, shots in columns]
    rows = []
    for space, learner in dict.fromkeys((space, learner) for space, learner, _, _ in cells):
        own = [cells[space, learner, *column] for column in columns]
        rows.append([space, learner, *(f"{100 * row['accuracy']:.1f} ± {100 * row['ci95']:.1f}" for row in own)])
    return _table(["space", "learner", *heads], rows, 2)
