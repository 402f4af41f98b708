"""What a number was made with: versions and hardware, in plain words."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch


def provenance(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Date, versions of the packages that shape the numbers, and the hardware of `device`."""
    packages = ("fewshot", "torch", "torchvision", "timm", "numpy")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "packages": {name: found for name in packages if (found := _version(name))},
        "hardware": hardware(device),
    }


def hardware(device: torch.device | str = "cpu") -> str:
    """`2 CPU cores, AVX-512` or the name of the card."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    features = {"AVX512": "AVX-512", "AVX2": "AVX2"}.get(torch.backends.cpu.get_cpu_capability(), platform.machine())
    return f"{cores} CPU cores, {features}" + (", Apple GPU" if device.type == "mps" else "")


def _version(name: str) -> str | None:
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None
