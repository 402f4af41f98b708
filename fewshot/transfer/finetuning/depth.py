"""The depth of every parameter of a network, so that parts of it can be frozen or trained at rates of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fewshot.backbones import Network
from fewshot.backbones.layers import stage_names
from fewshot.errors import InvalidInput, UnknownName

STEM, TAIL = "stem", "tail"


@dataclass(frozen=True)
class Unit:
    """A stage of the network, or what comes before the first ("stem") or after the last ("tail")."""

    name: str
    parameters: tuple[str, ...]  # their names in the module


def depth_units(network: Network, images: Tensor) -> tuple[Unit, ...]:
    """The parameters of a network by stage, from the images to the features; each is in exactly one unit.

    images (B, C, H, W) are run through it once, to see in what order things are computed: what has no stage of its own
    belongs to the stage before it. A unit without parameters is left out. Raises `InvalidInput` for images that the
    network does not take.
    """
    module, stages = network.module, _stages(network)
    last, calls = stages[-1], _calls(module, images)
    owners = {"": STEM}
    current = STEM
    for name in calls:
        if _stage_of(name, stages) == "":
            owners.setdefault(name, TAIL if current == last else current)
        elif name in stages:
            current = name
    owned: dict[str, list[str]] = {STEM: [], **{stage: [] for stage in stages}, TAIL: []}
    for name, _ in module.named_parameters():
        owner = name.rpartition(".")[0]
        owned[_stage_of(name, stages) or owners.get(owner, TAIL)].append(name)
    return tuple(Unit(name, tuple(parameters)) for name, parameters in owned.items() if parameters)


def _stages(network: Network) -> list[str]:
    """The blocks of the trunk, or the stages that timm names where these are more."""
    blocks, named = stage_names(network.module), list(network.intermediates or ())
    return named if len(named) > len(blocks) else blocks


def _stage_of(name: str, stages: Sequence[str]) -> str:
    return max((stage for stage in stages if f"{name}.".startswith(f"{stage}.")), key=len, default="")


@torch.no_grad()
def _calls(module: nn.Module, images: Tensor) -> list[str]:
    """The names of all submodules, in the order in which they are called."""
    called: list[str] = []
    hooks = [
        part.register_forward_pre_hook(lambda _, __, name=name: called.append(name))
        for name, part in module.named_modules()
        if name
    ]
    training = module.training
    module.eval()
    try:
        module(images)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        size = "×".join(map(str, images.shape[1:]))
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidInput(f"the network does not take images of {size}: {reason}; choose another size") from None
    finally:
        module.train(training)
        for hook in hooks:
            hook.remove()
    return called


def chosen_parameters(units: Sequence[Unit], what: str, modules: Sequence[str]) -> set[str]:
    """The names of the parameters of the trunk that `what` means.

    "head" is none of them, "all" all, "top=0.5" those of the upper half of the units, rounded up; else names of units
    or submodules, separated by commas. `modules` are the names of all submodules. Raises `UnknownName` for one that
    does not exist, with the near ones, and `InvalidInput` for a share outside of 0 to 1.
    """
    every = [name for unit in units for name in unit.parameters]
    if what == "head":
        return set()
    if what == "all":
        return set(every)
    if what.startswith("top="):
        count = -(-round(share_of(what) * len(units) * 1e6) // 10**6)
        return {name for unit in units[len(units) - count :] for name in unit.parameters}
    chosen: set[str] = set()
    known = {unit.name: unit.parameters for unit in units}
    for name in what.split(","):
        name = name.strip()
        if name not in known and name not in modules:
            raise UnknownName("layer", name, {*known, *modules}, hint="or head, all, top=SHARE")
        chosen |= set(known.get(name, ())) | {each for each in every if each.startswith(f"{name}.")}
    if not chosen:
        raise InvalidInput(f"{what} has no parameters to train; name a layer that has")
    return chosen


def share_of(what: str) -> float:
    """The share of depth in "top=0.5"; raises `InvalidInput` for what is no number above 0 and up to 1."""
    text = what.removeprefix("top=")
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise InvalidInput(f"top= takes a share of the depth above 0 and up to 1, found {text!r}")
    return share
