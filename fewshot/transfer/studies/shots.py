"""Learning curves: can what more labels give be foretold, and do ensembles of depths pay?"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import torch

import fewshot
from fewshot.embeddings import EmbeddingTable
from fewshot.metrics import paired_test
from fewshot.progress import progress_bar
from fewshot.transfer.result import TransferResult, TransferStore
from fewshot.transfer.sees import INDUCTIVE, TARGET_ONLY
from fewshot.transfer.small_data import Extrapolation, compare_ensembles, learning_curve
from fewshot.transfer.studies.small_targets import depth_tables, pixel_table, small_target
from fewshot.transfer.studies.study import Study

NAME = "shots"
# classes, the shots of the curve, and how many of them the law is fitted to
CURVES = {
    "cifar-fs": (10, (1, 2, 4, 8, 16, 32), 8),
    "caltech101": (10, (1, 2, 4, 8, 16, 32), 8),
    "usps": (10, (1, 2, 4, 8, 16, 32), 8),
    "grocery": (10, (1, 2, 4, 8, 16), 8),
    "omniglot": (20, (1, 2, 3, 4, 8), 4),
}
QUERIES = {"omniglot": 12}
LEARNERS = ("prototypical", "ridge", "logistic")
DRAWS = 20
ENSEMBLE_SHOTS = 5
WAYS = ("soft vote", "stacked", "side by side")


def run(store: TransferStore, progress: bool) -> None:
    """Curves of three learners over three kinds of features, and ensembles over depths, on five targets."""
    with progress_bar("learning curves", len(CURVES), show=progress) as advance:
        for target in CURVES:
            _measure(store, target)
            advance(1, target)


def _measure(store: TransferStore, target: str) -> None:
    classes, shots, known = CURVES[target]
    queries = QUERIES.get(target, 15)
    wanted = [(kind, learner) for kind in ("last", "stage 3", "pixels") for learner in LEARNERS]
    if all(store.has(NAME, f"curve {target}", f"{kind} {learner}") for kind, learner in wanted) and store.has(
        NAME, f"ensemble {target}", "soft vote"
    ):
        return
    dataset = small_target(target, classes, 80, least=shots[-1] + queries)
    depths = depth_tables(dataset)
    tables = {"last": depths["last"], "stage 3": depths["stage 3"], "pixels": pixel_table(dataset)}
    for kind, name in wanted:
        if not store.has(NAME, f"curve {target}", f"{kind} {name}"):
            store.save(_curve(target, tables[kind], kind, name, shots, known, queries))
    if not store.has(NAME, f"ensemble {target}", "soft vote"):
        _ensemble(store, target, depths)


def _curve(
    target: str, table: EmbeddingTable, kind: str, name: str, shots: tuple[int, ...], known: int, queries: int
) -> TransferResult:
    start = perf_counter()
    learner = fewshot.create_learner(name)
    curve = learning_curve(table, learner, shots, DRAWS, queries)
    found = Extrapolation(curve.up_to(known))
    later = []
    for number, truth in zip(shots, curve.intervals, strict=True):
        if number > known:
            each = found.accuracy(number)
            later.append({"shots": number, "truth": truth.mean, "ci95": truth.half_width, **vars(each)})
    return TransferResult(
        NAME,
        f"curve {target}",
        f"{kind} {name}",
        TARGET_ONLY if kind == "pixels" else INDUCTIVE,
        curve.accuracy[:, -1].tolist(),
        settings={"learner": name, "features": kind, "shots": list(shots), "fitted_up_to": known},
        data={"target": target, "classes": curve.ways, "table": table.fingerprint},
        seconds=perf_counter() - start,
        more={"curve": curve.to_json()["points"], "law": vars(found.law), "foretold": later},
    )


def _ensemble(store: TransferStore, target: str, depths: dict[str, EmbeddingTable]) -> None:
    start = perf_counter()
    members = {name: depths[name] for name in ("stage 3", "stage 4", "stage 5", "last")}
    labels = depths["last"].labels
    episodes = fewshot.EpisodeSampler(labels, ways="all", shots=ENSEMBLE_SHOTS, queries=12).sample(DRAWS)
    found = compare_ensembles(members, episodes, fewshot.create_learner("ridge", scale=10.0), folds=5)
    seconds = (perf_counter() - start) / len(found)
    for name in sorted(found, key="soft vote".__eq__):  # it comes last: where it is, the others are
        store.save(
            TransferResult(
                NAME,
                f"ensemble {target}",
                name,
                INDUCTIVE,
                found[name].tolist(),
                settings={"learner": "ridge:scale=10", "shots": ENSEMBLE_SHOTS, "members": list(members)},
                data={"target": target, "table": depths["last"].fingerprint},
                seconds=seconds,
            )
        )


def section(results: Sequence[TransferResult]) -> str:
    """Foretold against measured accuracy, the coverage of the interval, and ensembles against the best depth."""
    parts = [_section_of_curves(results), _section_of_ensembles(results)]
    return "\n\n".join(part for part in parts if part) or "Nothing was measured yet."


def _section_of_curves(results: Sequence[TransferResult]) -> str:
    curves = [result for result in results if result.case.startswith("curve ")]
    if not curves:
        return ""
    rows, points = [], []
    for result in curves:
        foretold = result.more["foretold"]
        points += [(result.settings["fitted_up_to"], point) for point in foretold]
        told = ", ".join(
            f"{point['shots']}: {100 * point['value']:.1f} ({100 * point['low']:.1f} to {100 * point['high']:.1f}), "
            f"in truth {100 * point['truth']:.1f} ± {100 * point['ci95']:.1f}"
            for point in foretold
        )
        rows.append(f"| {result.case.removeprefix('curve ')} | {result.method} | {told} | {result.sees.kind} |")
    head = (
        "| target | features and learner | shots: foretold % (interval), measured % ± ci95 | sees |\n|---|---|---|---|"
    )
    table = "\n".join([f"{DRAWS} draws a curve, fitted to its first shots.", "", head, *rows])
    near = [point for known, point in points if point["shots"] <= 2 * known]
    far = [point for known, point in points if point["shots"] > 2 * known]
    answer = [f"**Answer.** At twice the labels {_coverage(near)}"]
    if far:
        answer.append(f"at four times {_coverage(far)}")
    held = sum(point["low"] <= point["truth"] <= point["high"] for _, point in points) / len(points)
    meant = f"The interval is meant to hold in 95 of 100 cases and held in {100 * held:.0f}"
    narrow = ": it is too narrow, since it knows of the draws and hardly of curves that are no power law"
    return f"{table}\n\n{'; '.join(answer)}. {meant}{narrow if held < 0.9 else ''}."


def _coverage(points: Sequence[dict[str, float]]) -> str:
    held = sum(point["low"] <= point["truth"] <= point["high"] for point in points)
    gaps = [abs(point["value"] - point["truth"]) for point in points]
    high = sum(point["value"] > point["truth"] for point in points)
    return (
        f"the interval held the measured accuracy in {held} of {len(points)} curves, the forecast was "
        f"{100 * sum(gaps) / len(gaps):.1f} points off in the mean, {100 * max(gaps):.1f} at worst, and too high in "
        f"{high}"
    )


def _section_of_ensembles(results: Sequence[TransferResult]) -> str:
    cases: dict[str, dict[str, TransferResult]] = {}
    for result in results:
        if result.case.startswith("ensemble "):
            cases.setdefault(result.case.removeprefix("ensemble "), {})[result.method] = result
    if not cases:
        return ""
    rows, wins = [], {way: {"last": [0, 0], "best": [0, 0]} for way in WAYS}
    for target, found in cases.items():
        if not {"last", *WAYS} <= found.keys():
            continue
        depths = [name for name in found if name not in WAYS]
        best = max(depths, key=lambda name: found[name].interval.mean)
        cells = [found["last"], found[best], *(found[way] for way in WAYS)]
        told = [f"{100 * each.interval.mean:.1f} ± {100 * each.interval.half_width:.1f}" for each in cells]
        told[1] += f" ({best})"
        rows.append(f"| {target} | {' | '.join(told)} | {found['last'].sees.kind} |")
        for way in WAYS:
            for against, name in (("last", "last"), ("best", best)):
                test = paired_test(torch.tensor(found[way].draws), torch.tensor(found[name].draws))
                if test.significant:
                    wins[way][against][test.difference.mean < 0] += 1
    head = f"| target | last | best depth in hindsight | {' | '.join(WAYS)} | sees |\n|---|---|---|---|---|---|---|"
    answers = [
        f"{way} beats the last features on {wins[way]['last'][0]} and loses on {wins[way]['last'][1]}, and the best "
        f"depth on {wins[way]['best'][0]} and {wins[way]['best'][1]}"
        for way in WAYS
    ]
    return (
        f"Ensembles over stages 3 to 5 and the last features, {ENSEMBLE_SHOTS} shots, % ± ci95 of {DRAWS} draws.\n\n"
        + "\n".join([head, *rows])
        + f"\n\n**Answer.** Of {len(rows)} targets, beyond doubt (paired, 95 %): {'; '.join(answers)}."
    )


STUDY = Study(
    NAME,
    "Accuracy by shots",
    "Can a few shots foretell what more labels give, and does an ensemble of depths beat the last features?",
    run,
    section,
)
