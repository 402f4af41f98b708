"""The report of all studies: each claim, what was measured, and the answer; made from results and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fewshot.transfer.result import TransferResult
from fewshot.transfer.studies import list_studies, load_study

NOTHING = "Not measured yet: `fewshot transfer study {name}` does it."


def report(results: Iterable[TransferResult]) -> str:
    """Markdown with a section a study, in their order; a study without results says how to measure it."""
    by_study: dict[str, list[TransferResult]] = defaultdict(list)
    for result in results:
        by_study[result.study].append(result)
    parts = ["# Transfer, measured", "", *_contents(by_study), ""]
    for name in list_studies():
        study, found = load_study(name), by_study.get(name, [])
        parts += [f"## {study.title}", "", f"*{study.claim}*", ""]
        parts += [study.section(found).strip() if found else NOTHING.format(name=name), ""]
        if found:
            parts += [_made_with(found), ""]
    return "\n".join(parts).rstrip() + "\n"


def _contents(by_study: dict[str, list[TransferResult]]) -> list[str]:
    known = sum(map(len, by_study.values()))
    kinds = sorted({result.sees.kind for found in by_study.values() for result in found})
    return [
        f"{known} results of {len(by_study)} studies on real data. Each says what its method was shown: "
        f"{', '.join(kinds) or 'nothing yet'}. Intervals are 95 % over draws; methods of a case share their draws, and "
        "differences are paired."
    ]


def _made_with(found: list[TransferResult]) -> str:
    made = [result.provenance for result in found]
    hardware = ", ".join(sorted({str(each.get("hardware", "")) for each in made}))
    dates = sorted({str(each.get("date", "")) for each in made})
    seeds = ", ".join(str(seed) for seed in sorted({result.seed for result in found}))
    span = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    seconds = sum(result.seconds for result in found)
    return f"{len(found)} results, seed {seeds}, {seconds:,.0f} s; {hardware}; {span}."
