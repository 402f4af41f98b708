"""The check of a setting that several methods have."""

from fewshot.errors import InvalidInput


def check_components(method: str, components: int, most: int) -> None:
    """Raise `InvalidInput` unless 1 <= components <= most, what items and dimensions allow."""
    if not 1 <= components <= most:
        raise InvalidInput(f"{method}: components must lie in 1..{most} for these items, found {components}")
