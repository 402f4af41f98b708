"""MMD of 10,000 items against 10,000: by blocks in bounded memory, and with the whole kernel matrix at once.

The permutation test by blocks visits the matrix once for all permutations. Peak memory is of a process of its own for
each way. Run with `uv run python benchmarks/transfer_mmd.py`; writes results/transfer_mmd.json.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

import torch
from timing import in_turn, keep, seconds_of

from fewshot.transfer.domains.distances import GaussianKernel, mmd_squared, mmd_test

ITEMS, DIM, PERMUTATIONS = 10_000, 64, 100
WORK = "The maximum mean discrepancy block by block, against whole matrices; one thread"


def two_samples() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(ITEMS, DIM, generator=generator), torch.randn(ITEMS, DIM, generator=generator) + 0.05


def naive() -> float:
    """Equation 3 of Gretton et al. 2012 with three whole kernel matrices."""
    source, target = two_samples()
    kernel = GaussianKernel(DIM**0.5)
    within, other, between = kernel(source, source), kernel(target, target), kernel(source, target)
    count = ITEMS * (ITEMS - 1)
    first = (within.double().sum() - within.diagonal().double().sum()) / count
    second = (other.double().sum() - other.diagonal().double().sum()) / count
    return float(first + second - 2 * between.double().mean())


def blocks(block: int = 2048) -> float:
    return mmd_squared(*two_samples(), GaussianKernel(DIM**0.5), block=block)


def test_by_blocks() -> float:
    return mmd_test(*two_samples(), GaussianKernel(DIM**0.5), permutations=PERMUTATIONS, resamples=2).squared


def peak_mebibytes(way: Callable[[], float]) -> float:
    """What `way` needs beyond the two samples, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(way, send))
    process.start()
    peak: float = receive.recv()
    process.join()
    return peak


def _measured(way: Callable[[], float], send: Connection) -> None:
    torch.set_num_threads(1)
    two_samples()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    way()
    send.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def main() -> None:
    torch.set_num_threads(1)
    ways = {"whole matrices": naive, "blocks of 2048": blocks, "blocks of 512": partial(blocks, 512)}
    # first of all, since a new process starts with the peak of the one that made it
    memory = {name: peak_mebibytes(way) for name, way in {**ways, f"test, {PERMUTATIONS}": test_by_blocks}.items()}
    values = {name: way() for name, way in ways.items()}
    assert max(values.values()) - min(values.values()) < 1e-6, values
    timed = in_turn({name: partial(seconds_of, way) for name, way in ways.items()}, rounds=3)
    once = seconds_of(test_by_blocks)
    timed[f"test with {PERMUTATIONS} permutations"] = {
        "median_s": once,
        "min_s": once,
        "max_s": once,
        "ratio": once / timed["whole matrices"]["median_s"],
    }
    work = f"MMD² of {ITEMS:,} and {ITEMS:,} items of {DIM} dimensions, Gaussian kernel, one thread"
    keep("transfer_mmd", {"work": WORK, "measurements": {work: timed}, "peak_mebibytes": memory, "values": values})
    for name, peak in memory.items():
        print(f"  {name:<38} {peak:10.0f} MiB at most")


if __name__ == "__main__":
    main()
