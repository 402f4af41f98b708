"""What can be turned in an index, and in which steps: each ladder climbs from fast to thorough."""

from collections.abc import Mapping, Sequence

from fewshot.retrieval.engine.anatomy import base_of, refines
from fewshot.retrieval.engine.segment import Segment

Settings = Mapping[str, float]

EXACT: Settings = {"exact": 1}
REFINED = (4, 2, 6, 3, 8, 1, 12, 16, 32, 64)  # the likely ones first, so that the others are soon left
STEP = 1.2
MOST_HELD = 4096


def ladders(segments: Sequence[Segment]) -> list[list[Settings]]:
    """For every number of refined candidates worth trying, settings from fast to thorough; none to turn: no ladder."""
    import faiss

    lists = most = 0
    refined = False
    for segment in segments:
        base = base_of(segment.index)
        lists = max(lists, base.nlist if isinstance(base, faiss.IndexIVF) else 0)
        most = max(most, min(len(segment), MOST_HELD) if isinstance(base, faiss.IndexHNSW) else 0)
        refined = refined or refines(segment.index)
    turned: list[Settings] = [{"nprobe": rung} for rung in rungs(1, lists)]
    if most:
        turned = [{"efSearch": rung} for rung in rungs(8, most)]
    if not refined:
        return [turned or [{}]]
    return [[{**setting, "k_factor": factor} for setting in turned or [{}]] for factor in REFINED]


def rungs(first: int, last: int) -> list[int]:
    """Whole numbers from `first` to `last`, each about a fifth more than the one before."""
    steps: list[int] = []
    rung = float(first)
    while first <= last and round(rung) < last:
        steps.append(round(rung))
        rung = max(rung * STEP, rung + 1)
    return [*steps, last] if last >= first else []
