"""`fewshot transfer shift`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.output import json_option, print_json, print_rows, told_warnings
from fewshot.cli.transfer.domains import domain_options, two_domains

if TYPE_CHECKING:
    from fewshot.transfer.domains import ShiftReport


@click.command()
@click.argument("source")
@click.argument("target")
@domain_options
@click.option("--permutations", default=500, show_default=True, type=click.IntRange(199), help="Of the MMD test.")
@click.option("--most", default=1000, show_default=True, type=click.IntRange(50), help="Items of a domain to test.")
@click.option("--seed", default=0, show_default=True, help="Of draws.")
@json_option
def shift(source: str, target: str, permutations: int, most: int, seed: int, as_json: bool, **reading: Any) -> None:
    """Tell what kind of shift lies between SOURCE and TARGET, how far apart they are, and what could help.

    Each is a data set, a folder with a subfolder a class, or a table of `fewshot embed`; NAME@split takes a split and
    NAME@group=value a group of it. The source has labels; the target may. office-caltech10 and mnist-usps-pixels are
    tables of features that are known by name.

    \b
    Example:
      fewshot transfer shift studio/ shop/
      fewshot transfer shift mnist-usps-pixels@domain=mnist mnist-usps-pixels@domain=usps
      fewshot transfer shift studio/ new_pictures/ --unlabelled --json
    """
    from fewshot.transfer.domains import diagnose_shift

    with told_warnings():
        first, second = two_domains(source, target, **reading)
        assert first.labels is not None
        found = diagnose_shift(first.features, first.labels, second.features, second.labels, permutations, most, seed)
    if as_json:
        about = {"source": source, "target": target, "items": [len(first), len(second)], "seed": seed}
        print_json({**about, "classes": list(first.class_names), **found.to_json()})
        return
    print_rows(_rows(found), title=f"{source} ({len(first)} items) to {target} ({len(second)} items)")
    for sentence in found.words:
        click.echo(sentence)
    if found.helps:
        click.echo(f"could help: {', '.join(found.helps)}")


def _rows(found: ShiftReport) -> list[dict[str, Any]]:
    mmd, near, apart = found.mmd, found.within_classes, found.proxy_a
    rows = [
        ("MMD², items", mmd.squared, f"{mmd.low:.4f} to {mmd.high:.4f}", mmd.p_value),
        ("MMD², with the target's class shares", near.squared, f"{near.low:.4f} to {near.high:.4f}", near.p_value),
        ("proxy A-distance, 0 to 2", apart.value, f"{apart.low:.2f} to {apart.high:.2f}", None),
        ("CORAL, relative, 0 to 1", found.coral, "", None),
        ("class shares, chi²" if found.labelled else "predicted class shares, chi²", found.labels.statistic, "",
         found.labels.p_value),
    ]  # fmt: skip
    if found.concept is not None:
        gain, reach = found.concept.gain, found.concept.half_width
        rows.append(("gain of knowing the domain, nats", gain, f"{gain - reach:.3f} to {gain + reach:.3f}",
                     found.concept.p_value))  # fmt: skip
    return [
        {"what": what, "value": f"{value:.4g}", "95 % interval": span, "p": "" if p is None else f"{p:.2g}"}
        for what, value, span, p in rows
    ]
