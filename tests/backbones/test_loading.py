"""One shared instance, fingerprints, seeds and release."""

import pytest
import torch

from fewshot.backbones import create_backbone, loaded_backbones, release
from fewshot.errors import InvalidInput

CONV4 = {"name": "fewshot:conv4-28", "pretrained": False, "precision": "float32"}


@pytest.fixture(autouse=True)
def _nothing_loaded():
    release()
    yield
    release()


def test_who_asks_for_the_same_gets_the_same():
    first = create_backbone(**CONV4)
    assert create_backbone(**CONV4) is first
    assert create_backbone(**CONV4, device="cpu") is (first if first.device.type == "cpu" else create_backbone(**CONV4))
    assert loaded_backbones() == [first]


@pytest.mark.parametrize(
    "change", [{"precision": "bfloat16"}, {"layers": -1}, {"layers": [0, 1]}, {"seed": 1}, {"name": "fewshot:conv4"}]
)
def test_who_asks_for_another_gets_another_with_another_fingerprint(change):
    first, second = create_backbone(**CONV4), create_backbone(**(CONV4 | change))
    assert first is not second
    assert first.fingerprint != second.fingerprint


def test_random_weights_come_from_the_seed_and_leave_the_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = create_backbone(**CONV4).fingerprint
    assert torch.equal(torch.rand(3), expected)
    release()
    assert create_backbone(**CONV4).fingerprint == first
    assert create_backbone(**CONV4, seed=1).fingerprint != first


def test_folding_changes_neither_the_fingerprint_nor_the_features():
    folded, plain = create_backbone(**CONV4), create_backbone(**CONV4, optimize=False)
    images = torch.rand(3, 3, 28, 28)
    assert folded is not plain
    assert folded.fingerprint == plain.fingerprint
    assert folded.parameters == plain.parameters
    torch.testing.assert_close(folded(images), plain(images), rtol=1e-5, atol=1e-6)


def test_release_one_by_name_or_all():
    first, second = create_backbone(**CONV4), create_backbone("fewshot:raw-pixels")
    freed = first.memory
    assert release("fewshot:conv4-28") == freed > 0
    assert (first.released, second.released) == (True, False)
    assert create_backbone(**CONV4) is not first
    release()
    assert loaded_backbones() == []


def test_release_by_its_own_method():
    first = create_backbone(**CONV4)
    first.release()
    assert loaded_backbones() == []
    assert create_backbone(**CONV4) is not first


def test_a_bad_device_or_precision_is_refused_before_anything_loads():
    with pytest.raises(InvalidInput, match="device 'abacus' cannot be used"):
        create_backbone("fewshot:conv4-28", device="abacus")
    with pytest.raises(InvalidInput, match="precision 'half' is unknown"):
        create_backbone("fewshot:conv4-28", precision="half")
    assert loaded_backbones() == []


@pytest.mark.gpu
def test_on_a_gpu_the_features_agree_with_the_cpu():
    images = torch.rand(4, 3, 28, 28)
    there = create_backbone(**CONV4, device="cuda")(images).cpu()
    torch.testing.assert_close(there, create_backbone(**CONV4, device="cpu")(images), rtol=1e-2, atol=1e-2)
