"""`fewshot quickstart`: the main job, with nothing to prepare."""

from pathlib import Path
from time import perf_counter

import click

from fewshot.cli.output import console, json_option, print_json, told_warnings

NEXT = """next, type:
  fewshot bench run --dataset digits --learner all      another data set, every learner
  fewshot embed my/photos --out photos.table            your own pictures, a folder a class
  fewshot datasets list
  fewshot --help"""


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("quickstart"), show_default=True,
              help="The folder for results and picture.")  # fmt: skip
@json_option
def quickstart(out: Path, as_json: bool) -> None:
    """Measure three few-shot learners on real ImageNet features, with nothing but what came with the install.

    Renders images, embeds them with EfficientNet-Lite0, draws several hundred 20-way tasks, prints accuracy with 95 %
    intervals, and writes results, a picture and a page. Needs the packages of 'fewshot[offline]'.

    \b
    Example:
      fewshot quickstart
    """
    from fewshot.benchmark.quickstart import quickstart as run
    from fewshot.benchmark.report import terminal_report

    started = perf_counter()
    with told_warnings():
        done = run(out, progress=not as_json)
    files = {"results": str(done.store), "picture": str(done.picture), "page": str(done.page)}
    if as_json:
        print_json({"accuracy": {r.protocol.name + "/" + r.learner_label: r.accuracy for r in done.results}} | files)
        return
    terminal_report(done.results, console())
    click.echo(f"{perf_counter() - started:.0f} s; wrote " + ", ".join(files.values()))
    click.echo(NEXT)
