"""`bridge:` — an image backbone joined to a sentence encoder: `bridge:lite0-minilm`, `bridge:lite0-minilm/conse`.

Also `bridge:IMAGE_NAME+TEXT_NAME[/how]` for any backbone with a classifier of ImageNet, and `bridge:FOLDER`.
"""

from fewshot.backbones.bridge.fitting import WAYS
from fewshot.backbones.bridge.naming import PAIRS, named_bridge
from fewshot.backbones.network import Network
from fewshot.backbones.weights import Origin


def names(tags: bool = False) -> list[str]:
    """The short names, and with `tags` also each with its ways to join."""
    ways = [f"{name}/{how}" for name in PAIRS for how in WAYS] if tags else []
    return [*PAIRS, *ways]


def build(model: str, pretrained: bool) -> Network:
    """The image tower and its side of the join, with the text side as `text`."""
    return named_bridge(model, pretrained).network()


def origin(model: str) -> Origin | None:
    """None: the weights are those of the two towers."""
    return None
