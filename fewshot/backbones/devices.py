"""The device and the precision that suit the machine."""

import torch

from fewshot.errors import InvalidInput

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device named, or with "auto" the first of CUDA, MPS and CPU that the machine has.

    Raises `InvalidInput` if the device is unknown or absent.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput(f"device {str(device)!r} cannot be used: {reason}; pass 'auto', 'cpu' or 'cuda'") from None
    return chosen


def choose_precision(precision: str, device: torch.device) -> str:
    """The precision named, or with "auto" the quickest one that the device computes natively.

    CUDA: bfloat16 from Ampere on, float16 before. CPU: bfloat16 where it has instructions for it, else float32.
    Anything else: float32. Raises `InvalidInput` for another name.
    """
    if precision in PRECISIONS:
        return precision
    if precision != "auto":
        raise InvalidInput(f"precision {precision!r} is unknown; pass 'auto' or one of {', '.join(PRECISIONS)}")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"
    if device.type == "cpu" and _cpu_has_bfloat16():
        return "bfloat16"
    return "float32"


def _cpu_has_bfloat16() -> bool:
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
