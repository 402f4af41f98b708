"""`bridge:` — an image backbone joined to a sentence encoder: `bridge:lite0-minilm`, `bridge:lite0-minilm/conse`.

Also `bridge:IMAGE_NAME+TEXT_NAME[/how]` for any backbone with a classifier of ImageNet, and `bridge:FOLDER`.
"""

from fewshot.backbones.bridge.fitting import WAYS
from fewshot.backbones.bridge.naming import PAIRS, named_bridge, tower_names
from fewshot.backbones.network import Network
from fewshot.backbones.registry import weights_origin
from fewshot.backbones.weights import Origin


def names(tags: bool = False) -> list[str]:
    """The short names, and with `tags` also each with its ways to join."""
    ways = [f"{name}/{how}" for name in PAIRS for how in WAYS] if tags else []
    return [*PAIRS, *ways]


def build(model: str, pretrained: bool) -> Network:
    """The image tower and its side of the join, with the text side as `text`."""
    return named_bridge(model, pretrained).network()


def origin(model: str) -> Origin | None:
    """Where the weights of both towers come from; here if both are. None where one of them has none."""
    found = [weights_origin(name) for name in tower_names(model)]
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return None
    path = known[0].path if all(each.here for each in known) else None
    return Origin(" + ".join(each.name for each in known), " and ".join(each.address for each in known), path)
