"""What a regulariser of fine-tuning is: settings, what it changes in the model, and what it adds to the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from fewshot.errors import InvalidInput
from fewshot.registry import MethodRegistry, default_settings, summary

if TYPE_CHECKING:
    from fewshot.transfer.finetuning.images import LabelledImages
    from fewshot.transfer.finetuning.model import TransferModel


@dataclass(frozen=True)
class Pass:
    """What a step has computed: images (B, C, H, W), features (B, D), logits (B, classes), targets (B, classes)."""

    images: Tensor
    features: Tensor
    logits: Tensor
    targets: Tensor


Penalty = Callable[[Pass], Tensor]


@dataclass(frozen=True)
class Regulariser(ABC):
    """Keeps fine-tuning near what the weights knew before; a frozen dataclass whose fields are its settings.

    `needs_images`: it runs a network of its own over the images, so that they are not replaced by kept maps.
    """

    name: ClassVar[str] = "unregistered"
    paper: ClassVar[str] = ""
    needs_images: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, int | float) and not 0 <= value < float("inf"):
                raise InvalidInput(f"{name} of {self.name} must be a finite number of at least 0, found {value}")

    @abstractmethod
    def begin(self, model: TransferModel, images: LabelledImages) -> Penalty | None:
        """Change the model, which has its first weights, and return what is added to the loss of each step."""

    def facts(self) -> dict[str, Any]:
        """Name, paper and settings, ready for JSON."""
        return {"name": self.name, "paper": self.paper, "settings": asdict(self)}


_registry: MethodRegistry[Regulariser] = MethodRegistry("regulariser")
register_regulariser = _registry.method


def create_regulariser(name: str, settings: Mapping[str, Any] | None = None) -> Regulariser:
    """The regulariser of that name; raises `UnknownName` with the near ones, `InvalidInput` for a bad setting."""
    return _registry.create(name, settings or {})


def parse_regulariser(text: str) -> Regulariser:
    """The regulariser that `l2-sp` or `l2-sp:alpha=0.1,beta=0.01` describes.

    Raises `InvalidInput` for another form, and what `create_regulariser` raises.
    """
    name, _, listed = text.partition(":")
    defaults = default_settings(_registry[name])
    settings: dict[str, Any] = {}
    for part in filter(None, listed.split(",")):
        key, sign, value = part.partition("=")
        kind = type(defaults.get(key, ""))
        try:
            settings[key] = kind(value)
        except ValueError:
            sign = ""
        if not sign:
            raise InvalidInput(f"a regulariser takes NAME:SETTING=VALUE, found {part!r} in {text!r}")
    return create_regulariser(name, settings)


def list_regularisers() -> list[str]:
    """The names of all regularisers, sorted."""
    return _registry.names()


def describe_regulariser(name: str) -> dict[str, Any]:
    """What it does in a sentence, its paper and its settings with their defaults."""
    method = _registry[name]
    return {
        "name": name,
        "what it does": summary(method),
        "paper": method.paper,
        "settings": default_settings(method),
    }
