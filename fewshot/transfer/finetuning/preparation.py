"""What is checked and loaded before a training, and the record by which it is known again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fewshot import __version__
from fewshot.backbones.weights import weights_hash
from fewshot.errors import InvalidInput
from fewshot.fingerprint import fingerprint
from fewshot.transfer.finetuning.images import LabelledImages
from fewshot.transfer.finetuning.model import TransferModel, build_model
from fewshot.transfer.finetuning.settings import FineTuning
from fewshot.transfer.layers.splits import check_labels

if TYPE_CHECKING:
    from fewshot.datasets import Dataset


def prepare(
    backbone: str,
    data: Dataset | LabelledImages,
    held_out: Dataset | LabelledImages | None,
    training: FineTuning,
    progress: bool,
) -> tuple[LabelledImages, LabelledImages | None, TransferModel]:
    """Training images, held-out ones and a fresh model; raises as `fine_tune` does."""
    check_labels(data.labels, 1, data.class_names)
    if held_out is not None and tuple(held_out.class_names) != tuple(data.class_names):
        other = sorted(set(held_out.class_names) ^ set(data.class_names))[:5]
        raise InvalidInput(
            f"held-out images must have the classes trained on, in the same order; {', '.join(other) or 'their order'} "
            "differs"
        )
    size = training.image_size or (data.pixels.shape[-1] if isinstance(data, LabelledImages) else None)
    model = build_model(backbone, len(data.class_names), size, training.schedule.pretrained, training.seed)
    for stage in training.schedule.stages:
        model.choose(stage.train)  # tells of an unknown layer before any work
    loaded = [
        part
        if part is None or isinstance(part, LabelledImages)
        else LabelledImages.load(part, model.preprocess, progress)
        for part in (data, held_out)
    ]
    for part in loaded:
        if part is not None and part.pixels.shape[-1] != model.preprocess.image_size:
            raise InvalidInput(
                f"images are prepared at {part.pixels.shape[-1]} pixels, and image_size is "
                f"{model.preprocess.image_size}; prepare them anew, or leave image_size out"
            )
    images, looked_at = (part and part.scaled_for(model.preprocess) for part in loaded)
    assert images is not None
    return images, looked_at, model


def training_record(
    model: TransferModel, images: LabelledImages, held_out: LabelledImages | None, training: FineTuning
) -> dict[str, Any]:
    """What is trained on what, ready for JSON; model: with its first weights."""
    return {
        "backbone": model.name,
        "initial_weights": weights_hash(model.state_dict()),
        "classes": list(images.class_names),
        "data": fingerprint(images.pixels, images.labels),
        "items": len(images),
        "generated": images.generated,
        "held_out": held_out and fingerprint(held_out.pixels, held_out.labels),
        "image_size": int(images.pixels.shape[-1]),
        "training": training.facts(),
        "sees": training.sees.facts(),
        "version": __version__,
    }
