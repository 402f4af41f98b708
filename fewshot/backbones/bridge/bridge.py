"""An image backbone and a sentence encoder joined into something with CLIP's interface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from fewshot.backbones.bridge.halves import ImageHalf, TextHalf
from fewshot.backbones.bridge.join import Join, JoinedText, Side
from fewshot.backbones.network import Network, TextTower


@dataclass(frozen=True)
class Bridge:
    """Two towers and their join, made by [`fit_bridge`][fewshot.backbones.bridge.fit_bridge].

    `fingerprint` counts both towers' weights, the way, its settings and what it was fitted on; scale makes logits of
    cosines.
    """

    join: Join
    how: str
    scale: float
    image: ImageHalf
    text: TextHalf
    fingerprint: str

    def network(self) -> Network:
        """What `create_backbone` makes an ordinary backbone of, with `.text` in the same space."""
        tower, projection = self.image.network.module, self.join.projection
        return replace(
            self.image.network,
            module=nn.Sequential(tower, Side(self.join, "image")),
            architecture=f"bridge:{self.fingerprint}",
            head=None,
            unused=(),
            joint=None,
            adapt=None,
            projection=projection,
            before_projection=None if projection is None else nn.Sequential(tower, Side(self.join, "before")),
            intermediates=None,
            text=self.text_tower,
        )

    def text_tower(self) -> TextTower:
        """The sentence encoder, mapped."""
        tower = self.text.tower
        module = JoinedText(tower.module, self.join)
        return replace(tower, module=module, scale=self.scale, settings={**tower.settings, "bridge": self.fingerprint})

    def save(self, folder: str | Path) -> None:
        """Write the join as a folder (safetensors, JSON), whole or not at all; the towers go by name."""
        from fewshot.backbones.bridge.storage import save_bridge

        save_bridge(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, pretrained: bool = True) -> Bridge:
        """A saved bridge, with the towers it names; with `pretrained=False` untrained ones, and another fingerprint.

        Raises `UnreadableFile` for a folder that is missing, damaged or of a later version, and `FingerprintMismatch`
        when a tower is not the one it was fitted with.
        """
        from fewshot.backbones.bridge.storage import load_bridge

        return load_bridge(Path(folder), pretrained)
