"""How much memory there is to work in."""

import os

import torch


def hold_freed_memory() -> None:
    """Let temporary tensors of up to 31 MB reuse memory, rather than fault in every page of it anew.

    glibc gives free memory back to the system as soon as there is more of it than twice the largest block that was
    freed so far, up to 32 MB: freeing a block of that size, once, moves the mark. Elsewhere it changes nothing.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on `device`, or None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "cpu" and {"SC_AVPHYS_PAGES", "SC_PAGE_SIZE"} <= getattr(os, "sysconf_names", {}).keys():
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None
