"""The depths of a network compared on one's own data: all layers in one pass, a probe each, and the best blend."""

from fewshot.transfer.layers.compare import LayerComparison, choose_blend, compare_layers
from fewshot.transfer.layers.extractor import OUTPUT, LayerExtractor, layer_extractor
from fewshot.transfer.layers.picture import draw_layers
from fewshot.transfer.layers.splits import Split, check_labels, fold_splits, places_in_class, shot_splits

__all__ = [
    "OUTPUT",
    "LayerComparison",
    "LayerExtractor",
    "Split",
    "check_labels",
    "choose_blend",
    "compare_layers",
    "draw_layers",
    "fold_splits",
    "layer_extractor",
    "places_in_class",
    "shot_splits",
]
