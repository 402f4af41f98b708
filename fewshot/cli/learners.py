"""`fewshot learners`: what there is to choose from, and what each assumes."""

from typing import Any

import click

from fewshot.cli.output import json_option, print_facts, print_json, print_rows


@click.group()
def learners() -> None:
    """List and describe few-shot learners.

    \b
    Example:
      fewshot learners list
      fewshot learners show simpleshot
      fewshot learners choose --shots 1
    """


@learners.command("list")
@click.argument("pattern", default="*")
@json_option
def list_command(pattern: str, as_json: bool) -> None:
    """List the learners whose names match PATTERN, with their papers, assumptions and defaults.

    \b
    Example:
      fewshot learners list 'proto*'
    """
    from fewshot.benchmark.report.tables import assumptions
    from fewshot.learners import describe_learner, list_learners

    described = [describe_learner(name) for name in list_learners(pattern)]
    if as_json:
        print_json(described)
        return
    print_rows(
        [
            {
                "learner": facts["name"],
                "what it does": facts["summary"],
                "paper": facts["paper"],
                "assumes": ", ".join(assumptions(facts)),
                "defaults": ", ".join(f"{name}={value}" for name, value in facts["defaults"].items()),
            }
            for facts in described
        ]
    )


@learners.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show the paper, settings, defaults and assumptions of learner NAME.

    \b
    Example:
      fewshot learners show ridge
    """
    import fewshot.benchmark  # noqa: F401  where all learners are known
    from fewshot.learners import describe_learner

    facts = describe_learner(name)
    print_json(facts) if as_json else print_facts(facts)


@learners.command()
@click.option("--shots", type=click.IntRange(1), required=True, help="Support images a class.")
@click.option(
    "--queries",
    type=click.Choice(["alone", "together", "balanced"]),
    default="alone",
    show_default=True,
    help="They come one by one; all at once; or all at once with equally many of each class.",
)
@click.option(
    "--base",
    type=click.Choice(["none", "mean", "classes"]),
    default="none",
    show_default=True,
    help="What is known of the backbone's training classes.",
)
@json_option
def choose(shots: int, queries: Any, base: Any, as_json: bool) -> None:
    """Name the learner that measured best in a situation, and say why.

    \b
    Example:
      fewshot learners choose --shots 1 --queries together
    """
    from fewshot.learners import choose_learner

    choice = choose_learner(shots, queries, base)
    print_json(vars(choice)) if as_json else click.echo(choice.reason)
