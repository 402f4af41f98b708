"""Make the tables of docs/speed.md from the measurements in results/: `uv run python benchmarks/tables.py`."""

import json
from pathlib import Path

from timing import RESULTS

from fewshot.benchmark.report import replace_block

PAGE = Path(__file__).parent.parent / "docs" / "speed.md"


def section(path: Path) -> str:
    """One program's measurements as a heading, its work, and a table."""
    content = json.loads(path.read_text())
    made = content["provenance"]
    lines = [f"### `benchmarks/{path.stem}.py`", "", f"{content['work']}.", ""]
    lines += ["| work | way | median | range | time over the first |", "|---|---|---:|---:|---:|"]
    for work, ways in content["measurements"].items():
        for way, seconds in ways.items():
            span = f"{milliseconds(seconds['min_s'])} to {milliseconds(seconds['max_s'])}"
            lines.append(f"| {work} | {way} | {milliseconds(seconds['median_s'])} | {span} | {seconds['ratio']:.2f} |")
            work = ""
    packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
    lines += ["", f"{made['hardware']}; Python {made['python']}, {packages}; {made['date']}."]
    return "\n".join(lines)


def milliseconds(seconds: float) -> str:
    """Three significant digits, in ms below ten seconds."""
    return f"{seconds:.1f} s" if seconds >= 10 else f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.2f} s"


if __name__ == "__main__":
    replace_block(PAGE, "\n\n".join(section(path) for path in sorted(RESULTS.glob("*.json"))))
    print(f"renewed the tables in {PAGE.name}")
