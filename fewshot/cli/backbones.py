"""`fewshot backbones`: what there is, and the facts of one."""

import click

from fewshot.cli.output import json_option, print_facts, print_json


@click.group()
def backbones() -> None:
    """List and describe pretrained networks.

    \b
    Example:
      fewshot backbones list 'timm:*efficientnet*'
      fewshot backbones show timm:tf_efficientnet_lite0
    """


@backbones.command("list")
@click.argument("pattern", default="*")
@json_option
def list_command(pattern: str, as_json: bool) -> None:
    """List the backbones whose names match PATTERN.

    \b
    Example:
      fewshot backbones list 'torchvision:resnet*'
    """
    from fewshot.backbones import list_backbones

    names = list_backbones(pattern)
    if as_json:
        print_json(names)
    elif names:
        click.echo("\n".join(names))
    else:
        click.echo(f"no backbone matches {pattern!r}; patterns may hold * and ?, as in 'timm:*vit*'", err=True)


@backbones.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show source, size, feature dimension and image size of backbone NAME, and where its weights come from.

    \b
    Example:
      fewshot backbones show fewshot:resnet12
    """
    from fewshot.backbones import describe_backbone

    facts = describe_backbone(name)
    print_json(facts) if as_json else print_facts(facts)
