"""Tasks in groups that fit in a processor's cache, for methods that read all features at every step."""

from torch import Tensor

CHUNK_BYTES = 4 << 20


def chunks(features: Tensor) -> list[slice]:
    """Slices of the tasks of features (T, ...): as many as fit in 4 MB on a CPU, all at once elsewhere."""
    tasks = len(features)
    size = max(1, CHUNK_BYTES // (features[0].numel() * features.element_size()))
    if features.device.type != "cpu":
        size = tasks
    return [slice(first, first + size) for first in range(0, tasks, size)]
