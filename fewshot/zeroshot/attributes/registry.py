"""Attribute methods by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fewshot.registry import MethodRegistry

if TYPE_CHECKING:
    from fewshot.zeroshot.attributes.method import AttributeMethod

ATTRIBUTE_METHODS: MethodRegistry[AttributeMethod] = MethodRegistry("attribute method")

register_attribute_method = ATTRIBUTE_METHODS.method


def create_attribute_method(name: str, **settings: Any) -> AttributeMethod:
    """The method called `name`, with defaults where no setting is given.

    Raises `UnknownName` with the nearest names, and `InvalidInput` for a setting it lacks or a value it cannot take.
    """
    return ATTRIBUTE_METHODS.create(name, settings)


def list_attribute_methods(pattern: str = "*") -> list[str]:
    """The names of the methods that match a shell pattern, sorted."""
    return ATTRIBUTE_METHODS.names(pattern)
