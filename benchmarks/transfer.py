"""All that is timed of transfer: fine-tuning with a cached frozen prefix, layers in one pass, and MMD by blocks.

    python benchmarks/transfer.py [training] [mmd]

Each part is a program of its own (transfer_training.py, transfer_mmd.py) with results of its own in results/.
"""

from __future__ import annotations

import click
import transfer_mmd
import transfer_training

PARTS = {"training": transfer_training.measure, "mmd": transfer_mmd.main}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
def main(parts: tuple[str, ...]) -> None:
    for part in parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()
