"""How much memory there is to work in, and keeping what was freed for the next step."""

import ctypes
import os
from pathlib import Path

import torch

MEMINFO = Path("/proc/meminfo")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h


def hold_freed_memory() -> None:
    """Let temporary tensors of up to 31 MB reuse memory, rather than fault in every page of it anew.

    glibc gives free memory back to the system as soon as there is more of it than twice the largest block that was
    freed so far, up to 32 MB: freeing a block of that size, once, moves the mark. Elsewhere it changes nothing.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def hold_all_freed_memory() -> None:
    """The same for tensors of any size, as long as the process lives: right for training, whose steps are all alike.

    A step of a four-layer network on 360 images of 28 pixels spends a third of its time on page faults without this.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # no glibc
    mallopt(_MMAP_THRESHOLD, 1 << 30)
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on `device`, or None where the system does not tell.

    On a CPU it is what Linux calls available: free, or in use for no more than a cache of files.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return _available() or _unused() if device.type == "cpu" else None


def _available() -> int | None:
    try:
        told = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        return 1024 * int(told["MemAvailable"].removesuffix("kB"))
    except (OSError, KeyError, ValueError):
        return None  # another system, or Linux before 3.14


def _unused() -> int | None:
    if {"SC_AVPHYS_PAGES", "SC_PAGE_SIZE"} <= getattr(os, "sysconf_names", {}).keys():
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
