"""One backbone: inputs, batches that do not fit, features that are not finite, description, release."""

import json

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from fewshot.backbones import Backbone, Network, Preprocessing
from fewshot.errors import FewshotError, InvalidInput


class Greedy(nn.Module):
    """Maxima, exact in any memory layout; out of memory on more than `room` images; notes the sizes of its calls."""

    def __init__(self, room: int, message: str = "CUDA out of memory") -> None:
        super().__init__()
        self.room, self.message, self.sizes = room, message, []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        if len(images) > self.room:
            raise RuntimeError(self.message)
        return images.amax((2, 3))


def backbone_of(module: nn.Module, precision: str = "float32", head: nn.Module | None = None) -> Backbone:
    preprocess = Preprocessing(lambda image: torch.zeros(3, 8, 8), 8, {"size": 8})
    network = Network(module, preprocess, "none", head=head)
    return Backbone("my:net", network, module, torch.device("cpu"), precision, None, "0" * 16)


@pytest.mark.parametrize(
    "message", ["CUDA out of memory", "DefaultCPUAllocator: not enough memory", "[enforce fail] can't allocate memory"]
)
@pytest.mark.parametrize(("images", "room"), [(1, 1), (7, 3), (16, 5), (33, 1)])
def test_a_batch_that_does_not_fit_is_halved_and_gives_the_same(message, images, room):
    batch = torch.rand(images, 3, 8, 8)
    greedy = Greedy(room, message)
    assert torch.equal(backbone_of(greedy)(batch), batch.amax((2, 3)))
    assert sum(size for size in greedy.sizes if size <= room) == images


def test_the_next_batch_starts_at_the_size_that_fitted():
    greedy = Greedy(room=4)
    backbone = backbone_of(greedy)
    backbone(torch.rand(16, 3, 8, 8))
    greedy.sizes.clear()
    backbone(torch.rand(16, 3, 8, 8))
    assert greedy.sizes == [4, 4, 4, 4]


def test_torch_out_of_memory_error_is_caught_too():
    class Once(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if len(images) > 2:
                raise torch.OutOfMemoryError("no room")
            return images.amax((2, 3))

    assert backbone_of(Once())(torch.rand(5, 3, 8, 8)).shape == (5, 3)


def test_one_image_that_does_not_fit_tells_the_memory():
    with pytest.raises(FewshotError, match=r"my:net runs out of memory on cpu with a single image of 8 pixels"):
        backbone_of(Greedy(room=0))(torch.rand(4, 3, 8, 8))


def test_other_errors_pass_through():
    with pytest.raises(RuntimeError, match="size mismatch"):
        backbone_of(Greedy(room=0, message="size mismatch"))(torch.rand(2, 3, 8, 8))


@pytest.mark.parametrize(
    "images", [torch.rand(3, 8, 8), torch.rand(2, 1, 8, 8), torch.zeros(2, 3, 8, 8, dtype=torch.uint8)]
)
def test_images_of_another_shape_or_type_are_refused(images):
    with pytest.raises(InvalidInput, match=r"takes images \(B, 3, H, W\) of floats, not .*backbone.preprocess"):
        backbone_of(nn.Flatten())(images)


def test_an_empty_batch_has_features_of_the_right_width():
    assert backbone_of(nn.Flatten())(torch.empty(0, 3, 8, 8)).shape == (0, 192)


def test_images_that_are_not_finite_are_refused():
    images = torch.rand(2, 3, 8, 8)
    images[1, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="the images hold NaN or infinite values"):
        backbone_of(nn.Flatten())(images)


def test_overflow_in_half_precision_names_the_precision_and_the_way_out():
    class Large(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images.mean((2, 3)).half() + 1) * 60000

    with pytest.raises(InvalidInput, match=r"infinite features in float16; pass precision='float32'"):
        backbone_of(Large(), precision="float16")(torch.ones(1, 3, 8, 8))
    with pytest.raises(InvalidInput, match=r"infinite features in float32; its weights do not suit"):
        backbone_of(Large())(torch.ones(1, 3, 8, 8))


def test_features_can_take_part_in_training():
    features = backbone_of(nn.Conv2d(3, 4, 8))(torch.rand(2, 3, 8, 8)).flatten(1)
    layer = nn.Linear(4, 2)
    layer(features).sum().backward()
    assert layer.weight.grad is not None
    assert not features.requires_grad


def test_features_are_float32_in_every_precision():
    for precision in ("float32", "bfloat16", "float16"):
        module = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
        assert backbone_of(module, precision)(torch.rand(2, 3, 8, 8)).dtype == torch.float32


def test_autocast_is_used_where_asked():
    seen = []

    class Spy(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append((images.flatten(1) @ torch.ones(192, 2)).dtype)
            return images.flatten(1)

    for precision in ("float32", "bfloat16"):
        backbone_of(Spy(), precision)(torch.rand(1, 3, 8, 8))
    assert seen == [torch.float32, torch.bfloat16]


def test_description_is_json_with_all_that_a_report_needs():
    told = json.loads(json.dumps(backbone_of(nn.Flatten()).describe()))
    assert told == {
        "name": "my:net",
        "source": "my",
        "weights": "none",
        "parameters": 0,
        "dim": 192,
        "image_size": 8,
        "preprocessing": {"size": 8},
        "precision": "float32",
        "device": "cpu",
        "layers": None,
        "fingerprint": "0" * 16,
        "text": None,
    }


def test_a_released_backbone_says_so():
    backbone = backbone_of(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), head=nn.Linear(4, 2))
    assert backbone.memory == 4 * (192 * 4 + 4)
    backbone.release()
    assert backbone.released
    assert backbone.head is None
    with pytest.raises(FewshotError, match="my:net was released; call create_backbone again"):
        backbone(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_preprocessing_takes_images_of_any_mode(mode):
    seen = []
    preprocess = Preprocessing(lambda image: seen.append(image.mode) or torch.zeros(3, 8, 8), 8, {})
    preprocess(Image.new(mode, (5, 5)))
    assert seen == ["RGB"]
