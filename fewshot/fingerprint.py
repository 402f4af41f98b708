"""Short stable names for content: what was computed with equal things has equal fingerprints, on every machine."""

import hashlib
import json
from typing import Any


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits (64 bits) of a BLAKE2b hash over `parts`.

    A part is bytes, a torch tensor (dtype, shape and bytes count) or anything that JSON can write.
    """
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        content = _bytes(part)
        state.update(len(content).to_bytes(8, "little"))
        state.update(content)
    return state.hexdigest()


def _bytes(part: Any) -> bytes:
    if isinstance(part, bytes | bytearray | memoryview):
        return bytes(part)
    if hasattr(part, "untyped_storage"):
        import torch

        header = f"{part.dtype} {tuple(part.shape)}\n".encode()
        flat = part.detach().cpu().contiguous().reshape(-1)
        return header + flat.view(torch.uint8).numpy().tobytes()
    return json.dumps(part, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
