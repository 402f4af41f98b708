"""The house itself: its layers, its style, its types, and how little `import fewshot` costs."""

import subprocess
import sys
from pathlib import Path

import pytest

import fewshot

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command",
    [["lint-imports"], ["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=["layers", "lint", "format", "types"],
)
def test_clean(command: list[str]) -> None:
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_is_lazy() -> None:
    code = (
        "import sys, time; start = time.perf_counter(); import fewshot; took = time.perf_counter() - start;"
        "heavy = {'torch', 'numpy', 'PIL', 'timm', 'rich'} & sys.modules.keys(); print(took); assert not heavy, heavy"
    )
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    assert min(float(run.stdout) for run in done) < 0.1


def test_every_public_name_is_there() -> None:
    for name in fewshot.__all__:
        assert getattr(fewshot, name) is not None, name


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fewshot.nothing


def test_core_runs_without_the_heavy_packages() -> None:
    """Episodes, metrics and learners need torch alone."""
    code = """
import sys
for name in ("timm", "torchvision", "open_clip", "sklearn", "pyarrow", "matplotlib", "rich", "faiss"):
    sys.modules[name] = None
import torch, fewshot
labels = torch.arange(10).repeat_interleave(20)
table = fewshot.EmbeddingTable(torch.randn(200, 8), labels, tuple("abcdefghij"), tuple(map(str, range(200))))
episodes = fewshot.EpisodeSampler(labels, ways=5, shots=1, queries=5).sample(20)
print(fewshot.evaluate(fewshot.create_learner("prototypical"), table, episodes).accuracy)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
