"""Which device and which precision are chosen."""

import pytest
import torch

from fewshot.backbones import devices
from fewshot.backbones.devices import choose_device, choose_precision
from fewshot.errors import InvalidInput


def test_a_device_that_is_named_is_taken():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(torch.device("cpu")) == torch.device("cpu")


def test_auto_is_the_best_there_is():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device().type == best


@pytest.mark.parametrize("device", ["abacus", "", "cuda:99"])
def test_a_device_that_cannot_be_used_says_why(device):
    with pytest.raises(InvalidInput, match=rf"device '{device}' cannot be used: .*; pass 'auto'"):
        choose_device(device)


@pytest.mark.parametrize(("native", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_the_cpu_computes_in_bfloat16_only_where_it_has_instructions_for_it(monkeypatch, native, chosen):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: native)
    assert choose_precision("auto", torch.device("cpu")) == chosen


@pytest.mark.parametrize(("capability", "chosen"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_cuda_computes_in_bfloat16_from_ampere_on(monkeypatch, capability, chosen):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", torch.device("cuda")) == chosen


def test_mps_computes_in_float32():
    assert choose_precision("auto", torch.device("mps")) == "float32"


def test_a_precision_that_is_named_is_taken():
    assert choose_precision("float16", torch.device("cpu")) == "float16"


def test_an_unknown_precision_lists_the_known_ones():
    with pytest.raises(
        InvalidInput, match="precision 'fp8' is unknown; pass 'auto' or one of float32, bfloat16, float16"
    ):
        choose_precision("fp8", torch.device("cpu"))
