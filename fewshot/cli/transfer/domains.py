"""What `shift` and `adapt` share: two domains by name, and the backbone that embeds their pictures."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import click

from fewshot.cli.arguments import device_option, with_options
from fewshot.cli.transfer.features import LITE0, named_backbone, side_option

if TYPE_CHECKING:
    from fewshot.transfer.domains.loading import Domain

domain_options = with_options(
    click.option("--backbone", default=LITE0, show_default=True, help="Embeds pictures; tables need none."),
    side_option,
    device_option,
    click.option("--unlabelled", is_flag=True, help="The target has no labels, or none that may be looked at."),
    click.option("--shared-classes", is_flag=True, help="Take only the classes that both have."),
)


def two_domains(
    source: str, target: str, backbone: str, side: int | None, device: str, unlabelled: bool, shared_classes: bool
) -> tuple[Domain, Domain]:
    """Source and target as `domain_options` say, their classes matched by name.

    The backbone is made at most once, and only for pictures. Raises what `load_domain` and `matched` raise.
    """
    from fewshot.transfer.domains.loading import load_domain, matched

    make = cache(lambda: named_backbone(backbone, side, device))
    first, second = load_domain(source, make), load_domain(target, make, labelled=not unlabelled)
    return matched(first, second, shared_classes)
