"""The table of experiments with something changed, for docs/experiments.md, from findings/variations.json."""

from pathlib import Path

from fewshot.files import read_json

FOUND = Path(__file__).parent / "findings" / "variations.json"


def variations_section() -> str:
    """A row for each training: what was changed, and the accuracy on new and on training classes."""
    lines = ["| experiment | changed | new classes | training classes | hours |", "|---|---|---:|---:|---:|"]
    for name, variations in sorted(read_json(FOUND)["found"].items()):
        for label, found in variations.items():
            cells = [_accuracy(found[key][0]) for key in ("tested", "training_classes")]
            changed = f"`{label}`" if "=" in label else label
            lines.append(f"| {name} | {changed} | {cells[0]} | {cells[1]} | {found['hours']:.2f} |")
            name = ""
    return "\n".join(lines)


def _accuracy(result: dict) -> str:
    return f"{result['percent']:.2f} ± {result['ci95']:.2f}"
