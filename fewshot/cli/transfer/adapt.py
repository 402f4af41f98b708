"""`fewshot transfer adapt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.output import json_option, print_json, print_rows, told_warnings
from fewshot.cli.transfer.domains import domain_options, two_domains
from fewshot.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

    from fewshot.transfer.domains.loading import Domain


@click.command()
@click.argument("source", required=False)
@click.argument("target", required=False)
@click.option("--method", "methods", multiple=True, help="name or name:setting=value,...; repeatable.")
@click.option("--list", "listing", is_flag=True, help="List the methods and stop.")
@click.option("--out", type=click.Path(path_type=Path), help="A CSV for the predictions, a column a method.")
@domain_options
@json_option
def adapt(
    source: str | None,
    target: str | None,
    methods: tuple[str, ...],
    listing: bool,
    out: Path | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Name the items of TARGET by the labels of SOURCE, adapted by each METHOD and not at all.

    SOURCE and TARGET as in `fewshot transfer shift`. Labels of the target are never shown to a method: where there are
    any they score it, and intervals and p values are over the items of the target.

    \b
    Example:
      fewshot transfer adapt --list
      fewshot transfer adapt studio/ shop/ --method coral --method jan:epochs=20
      fewshot transfer adapt studio/ new_pictures/ --unlabelled --method shot --out named.csv
    """
    from fewshot.transfer.domains import describe_adaptation, list_adaptations, parse_adaptation

    if listing:
        facts = [describe_adaptation(name) for name in list_adaptations()]
        if as_json:
            print_json(facts)
        else:
            print_rows(
                [{"method": each["name"], "sees": each["sees"]["kind"], "what": each["summary"]} for each in facts]
            )
        return
    if source is None or target is None or not methods:
        raise InvalidInput("adapt needs SOURCE, TARGET and --method; `fewshot transfer adapt --list` tells the methods")
    chosen = {text: parse_adaptation(text) for text in methods}
    with told_warnings():
        first, second = two_domains(source, target, **reading)
        assert first.labels is not None
        baselines = dict.fromkeys(_baseline(vars(method)) for method in chosen.values())
        tried = {text: parse_adaptation(text) for text in baselines} | chosen
        found = {text: each.adapt(first.features, first.labels, second.features) for text, each in tried.items()}
    if out is not None:
        _write(out, found, first, second)
    rows = _scores(found, {text: _baseline(vars(each)) for text, each in tried.items()}, second.labels)
    for row, each in zip(rows, tried.values(), strict=True):
        row["sees"] = str(each.sees)
    if as_json:
        about = {"source": source, "target": target, "items": [len(first), len(second)]}
        print_json(
            {**about, "classes": list(first.class_names), "methods": rows, "out": None if out is None else str(out)}
        )
        return
    print_rows([_told(row) for row in rows], title=f"{source} ({len(first)} items) to {target} ({len(second)} items)")
    if out is not None:
        click.echo(f"predictions: {out}")


def _baseline(settings: dict[str, Any]) -> str:
    """No adaptation, with the same classifier or the same network."""
    if "epochs" in settings:
        kept = ("epochs", "batch", "learning_rate", "seed")
        return "deep-source-only:" + ",".join(f"{name}={settings[name]}" for name in kept)
    return f"source-only:classifier={settings.get('classifier', 'logistic')}"


def _scores(found: dict[str, Tensor], baselines: dict[str, str], truth: Tensor | None) -> list[dict[str, Any]]:
    from fewshot.metrics import accuracy_interval, paired_test

    rows: list[dict[str, Any]] = []
    for text, predictions in found.items():
        row: dict[str, Any] = {
            "method": text,
            "accuracy": None,
            "ci95": None,
            "gain": None,
            "gain_ci95": None,
            "p": None,
        }
        if truth is not None:
            right = (predictions == truth).double()
            score = accuracy_interval(right)
            row |= {"accuracy": score.mean, "ci95": score.half_width}
            if baselines[text] != text:
                gain = paired_test(right, (found[baselines[text]] == truth).double())
                row |= {"gain": gain.difference.mean, "gain_ci95": gain.difference.half_width, "p": gain.p_value}
        rows.append(row)
    return rows


def _told(row: dict[str, Any]) -> dict[str, str]:
    told = {"method": row["method"], "sees": row["sees"]}
    if row["accuracy"] is not None:
        told["accuracy %"] = f"{100 * row['accuracy']:.1f} ± {100 * row['ci95']:.1f}"
        known = row["gain"] is not None
        told["over no adaptation"] = f"{100 * row['gain']:+.1f} ± {100 * row['gain_ci95']:.1f}" if known else ""
        told["p"] = f"{row['p']:.2g}" if known else ""
    return told


def _write(out: Path, found: dict[str, Tensor], source: Domain, target: Domain) -> None:
    import csv

    from fewshot.files import whole_file

    names = {text: [source.class_names[label] for label in labels.tolist()] for text, labels in found.items()}
    with whole_file(out) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["item", *names])
        rows.writerows(zip(target.ids, *names.values(), strict=True))
