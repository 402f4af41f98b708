"""`fewshot datasets`: what there is, the facts of one, and whether its images are sound."""

import click

from fewshot.cli.output import json_option, print_facts, print_json, print_rows, told_warnings


@click.group()
def datasets() -> None:
    """List, describe and check data sets.

    \b
    Example:
      fewshot datasets list
      fewshot datasets check my/photos
    """


@datasets.command("list")
@click.argument("pattern", default="*")
@json_option
def list_command(pattern: str, as_json: bool) -> None:
    """List the data sets whose names match PATTERN, and whether their files are here.

    \b
    Example:
      fewshot datasets list '*moji*'
    """
    from fewshot.datasets import describe_dataset, list_datasets

    described = [describe_dataset(name) for name in list_datasets(pattern)]
    if as_json:
        print_json(described)
        return
    print_rows(
        [
            {
                "data set": facts["name"],
                "what it is": facts["summary"],
                "classes": facts["classes"],
                "images": facts["items"],
                "splits": facts["splits"],
                "here": facts["available"],
            }
            for facts in described
        ]
    )


@datasets.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show size, splits, source and licence of data set NAME, without loading it.

    \b
    Example:
      fewshot datasets show cifar-fs
    """
    from fewshot.datasets import describe_dataset

    facts = describe_dataset(name)
    print_json(facts) if as_json else print_facts(facts)


@datasets.command()
@click.argument("name")
@click.option("--split", default="all", show_default=True, help="Check one split only.")
@json_option
def check(name: str, split: str, as_json: bool) -> None:
    """Decode every image of NAME (a data set, a folder or a zip), and look for broken ones and for duplicates.

    Exit code 1 when an image is broken, or is found twice in different classes or splits.

    \b
    Example:
      fewshot datasets check grocery-store
      fewshot datasets check my/photos
    """
    from fewshot.cli.arguments import load_images
    from fewshot.datasets import check_dataset
    from fewshot.progress import progress_bar

    with told_warnings():
        dataset = load_images(name, split)
        with progress_bar(f"checking {dataset.name}", len(dataset), show=not as_json) as advance:
            found = check_dataset(dataset, progress=advance)
    print_json(found.to_json()) if as_json else print_facts(found.to_json())
    if not found.sound:
        raise SystemExit(1)
