"""What the samplers ask of their arguments, each refusal naming the argument, what was needed and what was found."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fewshot.errors import FewshotWarning, InvalidInput, SamplingError, UnknownName


def whole_number(name: str, value: Any, least: int) -> None:
    """Refuse what is not an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(f"{name} must be an integer of at least {least}, found {value!r}")


def positive(name: str, value: Any) -> None:
    """Refuse what is not a finite number above zero."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise InvalidInput(f"{name} must be a finite number above 0, found {value!r}")


def codes(name: str, values: Any, length: int | None = None) -> Tensor:
    """`values`, or their `.codes`, as int64 (N,) on the CPU; refuses what is not N integers of at least 0."""
    values = torch.as_tensor(getattr(values, "codes", values)).cpu()
    if values.is_floating_point() or values.is_complex() or values.dtype == torch.bool:
        raise InvalidInput(f"{name} must be integers, found {str(values.dtype).removeprefix('torch.')}")
    if values.ndim != 1 or len(values) == 0:
        raise InvalidInput(f"{name} must be one integer an item, found shape {tuple(values.shape)}")
    if length is not None and len(values) != length:
        raise InvalidInput(f"{name} must have one entry for each of the {length} items, found {len(values)}")
    if values.min() < 0:
        raise InvalidInput(f"{name} must not be negative, found {int(values.min())}")
    return values.long()


def domain_code(domain: int | str | None, domains: Any) -> int:
    """The code of a domain given by code or, where `domains` has `.names`, by name; refuses one without items."""
    names = list(getattr(domains, "names", ()))
    if domain in names:
        return names.index(str(domain))
    present = torch.as_tensor(getattr(domains, "codes", domains)).unique().tolist()
    if isinstance(domain, int) and domain in present:
        return domain
    raise UnknownName("domain", str(domain), names or [str(code) for code in present])


def distances(matrix: Any, classes: Tensor) -> Tensor:
    """The rows and columns of a class distance matrix (C, C) that belong to `classes`, as float64."""
    matrix = torch.as_tensor(matrix).double().cpu()
    needed = int(classes.max()) + 1
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < needed:
        raise InvalidInput(
            f"class_distance must be a square matrix with a row for each label up to {needed - 1}, "
            f"found shape {tuple(matrix.shape)}"
        )
    matrix = matrix[classes][:, classes]
    if not bool(((matrix >= 0) & matrix.isfinite()).all()):
        raise InvalidInput("class_distance must be finite and not negative, found NaN, infinite or negative entries")
    return matrix


def leave_out_small(
    kind: str, asks: Sequence[tuple[Tensor, int, str]], least: int, names: Sequence[str], strict: bool
) -> Tensor:
    """Mask (M,) of the classes or groups that can give what is asked: each ask is counts (M,), the need, the unit.

    The others are left out with a `FewshotWarning` that names them, or raise `SamplingError` if `strict`; so does
    having fewer than `least` remain.
    """
    large = torch.stack([found >= needed for found, needed, _ in asks]).all(0)
    small = [
        next(f"{names[i]} has {found[i]} of {needed} {unit}" for found, needed, unit in asks if found[i] < needed)
        for i in (~large).nonzero().squeeze(1).tolist()
    ]
    listed = ", ".join(small[:20]) + (f" and {len(small) - 20} more" if len(small) > 20 else "")
    remaining = len(large) - len(small)
    if remaining < least:
        needs = " and ".join(f"{needed} {unit}" for _, needed, unit in asks)
        reason = f"; too small: {listed}" if small else ""
        raise SamplingError(
            f"too few {kind} with {needs}: {least} needed, {remaining} found{reason}; ask for fewer ways or items"
        )
    told = f"too small, {len(small)} of {len(large)} {kind}: {listed}"
    if small and strict:
        raise SamplingError(f"{told}; pass strict=False to leave out what is too small")
    if small:
        # the frames: here, a method of the sampler, __post_init__, __init__, the caller
        warnings.warn(f"left out, {told}", FewshotWarning, stacklevel=5)
    return large
