"""What `shift` and `adapt` share: two domains by name, and the backbone that embeds their pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from fewshot.cli.transfer.features import LITE0, named_backbone

if TYPE_CHECKING:
    from fewshot.transfer.domains.loading import Domain

_OPTIONS = (
    click.option("--backbone", default=LITE0, show_default=True, help="Embeds pictures; tables need none."),
    click.option(
        "--image-size", "side", type=click.IntRange(32), help="Pixels; smaller than the backbone's own is faster."
    ),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, mps or auto."),
    click.option("--unlabelled", is_flag=True, help="The target has no labels, or none that may be looked at."),
    click.option("--shared-classes", is_flag=True, help="Take only the classes that both have."),
)


def domain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of how two domains are read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def two_domains(
    source: str, target: str, backbone: str, side: int | None, device: str, unlabelled: bool, shared_classes: bool
) -> tuple[Domain, Domain]:
    """Both domains, their classes matched."""
    from fewshot.transfer.domains.loading import load_domain, matched

    make = cache(lambda: named_backbone(backbone, side, device))
    first, second = load_domain(source, make), load_domain(target, make, labelled=not unlabelled)
    return matched(first, second, shared_classes)
