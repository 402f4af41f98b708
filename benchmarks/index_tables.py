"""The tables of docs/index.md, from findings/index_recognition.json and from results/index*.json."""

import json
from collections.abc import Iterable
from pathlib import Path

RECOGNITION = Path(__file__).parent / "findings" / "index_recognition.json"
RESULTS = Path(__file__).parent / "results"
NAMES = {
    "openmoji": "openmoji, colour → line drawing",
    "omniglot": "Omniglot, one drawer → the others",
    "grocery-store": "Grocery Store, product picture → shop photos",
    "grocery-store photos": "Grocery Store, five shop photos → others",
}
STRANGERS = {
    "class": "other classes of strangers",
    "picture": "other pictures of the strangers",
    "index": "classes of the index, left out",
}


def ways_section() -> str:
    """Accuracy with one picture a class by the number of classes."""
    found = json.loads(RECOGNITION.read_text())["found"]
    one_shot = {name: made for name, made in found.items() if made["by_ways"]}
    ways = sorted({row["ways"] for made in one_shot.values() for row in made["by_ways"]})
    rows = []
    for name in [name for name in NAMES if name in one_shot]:
        made, some = one_shot[name]["all"], {row["ways"]: percent(row) for row in one_shot[name]["by_ways"]}
        whole = f"**{percent(made['over_classes'])}** ({made['ways']:,} ways)"
        rows.append([NAMES[name], *(some.get(count, "") for count in ways), whole])
    return table(["", *(f"{count:,}" for count in ways), "all"], rows)


def rules_section() -> str:
    """Accuracy by rule and shots."""
    found = json.loads(RECOGNITION.read_text())["found"]
    rows = [row for made in found.values() for row in made.get("rules", [])]
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    cells = {(row["shots"], row["rule"]): percent(row) for row in rows}
    shots = sorted({row["shots"] for row in rows})
    return table(["shots", *rules], [[str(shot), *(cells[shot, rule] for rule in rules)] for shot in shots])


def rejection_section() -> str:
    """False and right accepts by what the threshold was calibrated on, the evidence, and the rate asked for."""
    found = json.loads(RECOGNITION.read_text())["found"]
    rates = sorted({row["asked"] for made in found.values() for row in made["rejection"]})
    heads = ["", "calibrated on", "evidence"]
    for rate in rates:
        heads += [f"false accepts, {100 * rate:.0f} % asked", "right accepts"]
    rows = []
    for name in [name for name in NAMES if name in found]:
        cells = {(row["calibrated_on"], row["evidence"], row["asked"]): row for row in found[name]["rejection"]}
        for kind, said in STRANGERS.items():
            for evidence in ("margin", "score"):
                line = [NAMES[name], said, evidence]
                for rate in rates:
                    row = cells[kind, evidence, rate]
                    refused = "refused" in row
                    line += ["refused", ""] if refused else [percent(row["false_accepts"]),
                                                             percent(row["correct_accepts"])]  # fmt: skip
                rows.append(line)
    return table(heads, rows)


def speed_section() -> str:
    """Every size that was measured: speed at equal proved recall, and what the face costs over FAISS by hand."""
    parts = [_speed(json.loads(path.read_text())) for path in sorted(RESULTS.glob("index*.json")) if _is_sweep(path)]
    return "\n\n".join(parts) if parts else "Not measured yet."


def _is_sweep(path: Path) -> bool:
    return path.stem == "index" or path.stem.removeprefix("index_").isdigit()


def _speed(content: dict) -> str:
    count, dim = content["count"], content["dim"]
    heads = ["recall asked", "way", "settings", "recall", "queries a second", "one query alone", "build", "memory"]
    rows = []
    for target, at in content["recall"].items():
        ways = sorted(at["ways"].items(), key=lambda item: -item[1]["queries_a_second"])
        for name, way in ways:
            built = content["indexes"].get(name) or content["indexes"].get(f"faiss {content['factory']}", {})
            ours = name == "fewshot"
            cells = [
                target,
                f"**{name}** (auto: {content['factory']})" if ours else name,
                _settings(way["settings"]),
                f"{way['recall']:.3f}" + ("" if way["proved"] else ", not proved"),
                f"{way['queries_a_second']:,.0f}",
                f"{way['one_query_ms']:.3f} ms",
                f"{built['build_s']:.1f} s" if built and not ours else "",
                f"{built['bytes'] / 1e6:,.0f} MB" if built and not ours else "",
            ]
            rows.append(cells)
    summary = ", ".join(
        f"{at['of_best']:.2f} of the fastest proved FAISS index and {at['of_exact']:.1f} × exact search at {target}"
        for target, at in content["recall"].items()
    )
    overheads = [
        f"{work}: {ways['Index.search']['ratio']:.2f} × FAISS by hand"
        for work, ways in content["measurements"].items()
        if "Index.search" in ways
    ]
    built = content["measurements"]["build"]["engine"]["ratio"]
    alone = content["measurements"]["200 queries one by one"]
    above = (alone["Index.search"]["median_s"] - alone["faiss by hand"]["median_s"]) / 200 * 1000
    made = content["provenance"]
    lines = [
        f"**{count:,} × {dim}, clustered, one thread.** Auto is {summary}. Writing a segment takes {built:.2f} × FAISS "
        f"by hand; {'; '.join(overheads)} ({above:+.3f} ms a query).",
        "",
        table(heads, rows),
    ]
    for memory, found in content.get("autofaiss", {}).items():
        lines += ["", f"autofaiss 2.18 by its defaults with {memory}: {found['index']}, {found['settings']}, recall "
                  f"{found['recall']:.3f}, {found['queries_a_second']:,.0f} queries a second, one query alone "
                  f"{found['one_query_ms']:.2f} ms, built in {found['build_s']:.0f} s."]  # fmt: skip
    lines += ["", f"Seconds of the processor; {made['hardware']}; {made['date']}."]
    return "\n".join(lines)


def _settings(settings: object) -> str:
    if isinstance(settings, dict):
        return ", ".join(f"{name} {value:g}" for name, value in settings.items())
    return str(settings)


def percent(found: dict) -> str:
    """A share with its interval."""
    return f"{100 * found['mean']:.1f} ± {100 * found['ci95']:.1f}"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown."""
    heads = list(heads)
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
