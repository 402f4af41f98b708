"""Embedding a folder of pictures: `fewshot embed` against `clip-retrieval inference`, on the same open_clip model.

clip-retrieval lives in an environment of its own. The model is ViT-B-32 with weights drawn at random, which take as
long as trained ones; both programs read the same file of weights. Each is run as a command on few and on many pictures,
and the difference is what the pictures took: starting and loading do not count. Seconds are the processor's, of all
processes of the command.

    uv venv /tmp/clip-retrieval
    uv pip install --python /tmp/clip-retrieval/bin/python clip-retrieval==2.45.0 'setuptools<70'
    python benchmarks/index_embedding.py /tmp/clip-retrieval/bin [--pictures 320]

Writes benchmarks/results/index_embedding.json.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from timing import in_turn, keep

from fewshot import EmbeddingTable, load_dataset

FEW, BATCH, MODEL = 64, 32, "ViT-B-32"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("programs", type=Path, help="The bin folder of the environment with clip-retrieval.")
    options.add_argument("--pictures", type=int, default=320)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Work(Path(place), given.programs, given.pictures)
        ways = {"clip-retrieval inference": work.clip_retrieval, "fewshot embed": work.fewshot}
        measured = in_turn(ways, given.rounds)
        alike = work.likeness()
    per_second = {name: {"per_second": given.pictures / found["median_s"]} for name, found in measured.items()}
    keep(
        "index_embedding",
        {
            "work": f"{given.pictures} pictures of Caltech-101 through {MODEL}, batches of {BATCH}, one thread",
            "peers": {"clip-retrieval": "2.45.0"},
            "least_cosine": alike,
            "measurements": {"embed a folder": {name: found | per_second[name] for name, found in measured.items()}},
        },
    )


class Work:
    """Two folders of pictures, one file of weights, and the two commands over them."""

    def __init__(self, place: Path, programs: Path, pictures: int) -> None:
        self.place, self.programs = place, programs
        self.weights = place / "weights.pt"
        os.environ["FEWSHOT_CACHE"] = str(place / "cache")  # emptied each time, so that nothing is reused
        self.few, self.many = place / "few", place / "many"
        _random_weights(self.weights)
        _copy_pictures(self.few, FEW)
        _copy_pictures(self.many, FEW + pictures)

    def fewshot(self) -> float:
        """Seconds of the processor that the additional pictures took."""
        name = f"open_clip:{MODEL}@{self.weights}"
        program = Path(sys.executable).with_name("fewshot")

        def command(folder: Path) -> Sequence[str | Path]:
            out = self.place / f"ours-{folder.name}"
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(os.environ["FEWSHOT_CACHE"], ignore_errors=True)
            return [program, "embed", folder, "--backbone", name, "--out", out, "--batch-size", str(BATCH),
                    "--workers", "1", "--precision", "float32"]  # fmt: skip

        return _seconds(command(self.many)) - _seconds(command(self.few))

    def clip_retrieval(self) -> float:
        """The same of clip-retrieval."""

        def command(folder: Path) -> Sequence[str | Path]:
            out = self.place / f"theirs-{folder.name}"
            shutil.rmtree(out, ignore_errors=True)
            told = {
                "input_dataset": folder,
                "output_folder": out,
                "clip_model": f"open_clip:{MODEL}/{self.weights}",
                "input_format": "files",
                "batch_size": BATCH,
                "num_prepro_workers": 1,
                "enable_text": False,
                "use_jit": False,
            }
            return [self.programs / "clip-retrieval", "inference", *(f"--{key}={value}" for key, value in told.items())]

        return _seconds(command(self.many)) - _seconds(command(self.few))

    def likeness(self) -> float:
        """The least cosine between the two vectors of a picture; both go by the order of the names."""
        ours = EmbeddingTable.load(self.place / "ours-many")
        theirs = np.load(self.place / "theirs-many" / "img_emb" / "img_emb_0.npy").astype(np.float32)
        mine = ours.features.numpy()[np.argsort(ours.ids)]
        mine /= np.linalg.norm(mine, axis=1, keepdims=True)
        return float((mine * theirs / np.linalg.norm(theirs, axis=1, keepdims=True)).sum(1).min())


def _random_weights(path: Path) -> None:
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model(MODEL).state_dict(), path)


def _copy_pictures(folder: Path, count: int) -> None:
    dataset = load_dataset("caltech101", split="all")
    (folder / "pictures").mkdir(parents=True)
    for row in range(count):
        dataset.images[row * (len(dataset) // count)].save(folder / "pictures" / f"{row:05d}.png")


def _seconds(command: Sequence[str | Path]) -> float:
    """Seconds of the processor of a command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
