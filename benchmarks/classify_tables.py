"""The table of docs/classify.md from findings/classify_rules.json, which scripts/compare_classify_rules.py writes."""

import json
from pathlib import Path

from fewshot.classify import choose_method

FOUND = Path(__file__).parent / "findings" / "classify_rules.json"
NAMES = {
    "caltech101": "Caltech-101, 99-way",
    "cifar-fs test": "CIFAR-FS test, 20-way",
    "grocery-store": "Grocery Store, 81-way",
    "openmoji-small": "openmoji, 307-way",
}


def classify_section() -> str:
    """A row for each number of images, way to join and learner, a column a data set; the rule's choice is bold."""
    content = json.loads(FOUND.read_text())
    sets = content["chosen_on"] + content["reported"]
    found = {(row["shots"], row["learner"], row["words"], row["join"], row["dataset"]): row for row in content["found"]}
    heads = ["images a class", "learner", "words by", *(NAMES[name] for name in sets)]
    lines = [f"| {' | '.join(heads)} |", "|---:|---|---|" + "---:|" * len(sets)]
    before = None
    for shots, learner, words, join in dict.fromkeys(key[:4] for key in sorted(found, key=_order)):
        chosen = _choice(shots, content) == (learner, words, join)
        cells = [_cell(found.get((shots, learner, words, join, name))) for name in sets]
        cells = [f"**{cell}**" if chosen and cell else cell for cell in cells]
        name = f"**{learner}**" if chosen else learner
        lines.append(f"| {'' if shots == before else shots} | {name} | {join if words else ''} | {' | '.join(cells)} |")
        before = shots
    made = content["provenance"]
    packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
    return "\n".join([f"{content['work']}.", "", *lines, "", f"{made['hardware']}; {packages}; {made['date']}."])


def _order(key: tuple) -> tuple:
    shots, learner, words, join, _ = key
    return shots, not words, join, learner


def _choice(shots: int, content: dict) -> tuple[str, bool, str]:
    """The learner that the rules take, whether by words, and the way to join that the default has."""
    learner = choose_method(shots, words=True).learner
    with_words = any(row["learner"] == learner and row["words"] for row in content["found"])
    return learner, with_words, content["default_join"]


def _cell(row: dict | None) -> str:
    if row is None:
        return ""
    spread = f" ± {100 * row['ci95']:.1f}" if row["ci95"] else ""
    return f"{100 * row['accuracy']:.1f}{spread}"
