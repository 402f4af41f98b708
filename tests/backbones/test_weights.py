"""Weights from files: formats, wrappers, classifiers left out, and what is said of files that do not fit."""

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fewshot.backbones import Network, Preprocessing, create_backbone, register_backbone, release
from fewshot.backbones.registry import build_network
from fewshot.backbones.weights import Origin, fetching, hub_file, load_weights, read_weights, unreachable, weights_hash
from fewshot.errors import InvalidInput, MissingWeights, UnreadableFile


def network() -> Network:
    preprocess = Preprocessing(lambda image: torch.zeros(3, 8, 8), 8, {})
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    return Network(module, preprocess, "random", head=nn.Linear(144, 10), unused=("fc.",))


@register_backbone("weights-test:net")
def registered(pretrained: bool) -> Network:
    return network()


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"0.weight": torch.randn(4, 3, 3, 3), "0.bias": torch.randn(4)}


def wrapped(state: dict[str, Tensor], how: str) -> dict:
    head = {"fc.weight": torch.zeros(7, 144), "fc.bias": torch.zeros(7)}
    return {
        "plain": state,
        "parallel": {f"module.{key}": value for key, value in state.items()},
        "compiled and parallel": {f"module._orig_mod.{key}": value for key, value in state.items()},
        "checkpoint": {"state_dict": state, "epoch": 3},
        "nested": {"model": {f"module.{key}": value for key, value in state.items()}},
        "with a classifier": {**state, **head},
    }[how]


@pytest.mark.parametrize(
    "how", ["plain", "parallel", "compiled and parallel", "checkpoint", "nested", "with a classifier"]
)
def test_a_torch_file_however_it_was_saved(tmp_path, state, how):
    torch.save(wrapped(state, how), tmp_path / "net.pth")
    filled = network()
    load_weights(filled, tmp_path / "net.pth", "my:net")
    assert all(torch.equal(filled.module.state_dict()[key], state[key]) for key in state)
    assert filled.head is None
    assert filled.weights == str(tmp_path / "net.pth")


def test_safetensors_and_torch_files_give_the_same_backbone(tmp_path, state):
    save_file(state, tmp_path / "net.safetensors")
    torch.save(state, tmp_path / "net.pth")
    first = create_backbone("weights-test:net", weights=tmp_path / "net.safetensors")
    second = create_backbone(f"file:weights-test:net@{tmp_path / 'net.pth'}")
    third = create_backbone(f"weights-test:net@{tmp_path / 'net.pth'}")
    assert first is not second
    assert second is third
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint != create_backbone("weights-test:net", pretrained=False).fingerprint


def test_a_file_that_changed_is_loaded_anew(tmp_path, state):
    path = tmp_path / "net.pth"
    torch.save(state, path)
    first = create_backbone("weights-test:net", weights=path)
    torch.save({key: value + 1 for key, value in state.items()} | {"fc.bias": torch.zeros(7)}, path)
    assert create_backbone("weights-test:net", weights=path).fingerprint != first.fingerprint


def test_the_libraries_own_checkpoints_fit(tmp_path):
    for name, key in [("torchvision:resnet18", "fc"), ("timm:resnet18", "fc"), ("timm:test_vit", "head")]:
        torch.manual_seed(3)
        made = build_network(name, pretrained=False)
        dim = made.head.in_features
        full = made.module.state_dict() | {f"{key}.weight": torch.zeros(10, dim), f"{key}.bias": torch.zeros(10)}
        torch.save(full, tmp_path / "net.pth")
        loaded = create_backbone(name, weights=tmp_path / "net.pth", precision="float32")
        images = torch.rand(1, 3, loaded.image_size, loaded.image_size)
        with torch.no_grad():
            torch.testing.assert_close(loaded(images), made.module(images), rtol=1e-3, atol=1e-4)


def test_weights_that_do_not_fit_are_told_by_key(tmp_path, state):
    torch.save({"0.weight": state["0.weight"][:2], "1.weight": state["0.bias"]}, tmp_path / "net.pth")
    expected = (
        r"net\.pth are not those of my:net: 1 missing: 0\.bias; 1 unexpected: 1\.weight; "
        r"1 of another shape: 0\.weight \(2, 3, 3, 3\) instead of \(4, 3, 3, 3\)"
    )
    with pytest.raises(InvalidInput, match=expected):
        load_weights(network(), tmp_path / "net.pth", "my:net")


def test_many_keys_are_cut_short(tmp_path, state):
    torch.save(state | {f"x{i}": torch.zeros(1) for i in range(9)}, tmp_path / "net.pth")
    with pytest.raises(InvalidInput, match=r"9 unexpected: x0, x1, x2, …$"):
        load_weights(network(), tmp_path / "net.pth", "my:net")


def test_a_missing_file_is_not_replaced_by_random_weights(tmp_path):
    create_backbone("weights-test:net", pretrained=False)
    with pytest.raises(MissingWeights, match=r"there is no weights file .*absent\.pth; pass the path"):
        create_backbone("weights-test:net", weights=tmp_path / "absent.pth")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_says_so(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"not weights at all")
    with pytest.raises(UnreadableFile, match=rf"net\{suffix} cannot be read as safetensors or as a torch state dict"):
        read_weights(path)


def test_a_whole_pickled_module_is_refused(tmp_path):
    torch.save(network().module, tmp_path / "net.pth")
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_weights(tmp_path / "net.pth")


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "net.pth")
    with pytest.raises(UnreadableFile, match=r"holds no state dict \(names to tensors\), but a list"):
        read_weights(tmp_path / "net.pth")


def test_the_hash_is_that_of_the_content_on_every_machine():
    state = {"b": torch.arange(4.0), "a": torch.tensor(3)}
    assert weights_hash(state) == "ec19ef92a8be033d"
    assert weights_hash(dict(reversed(state.items()))) == weights_hash(state)


@pytest.mark.parametrize(
    "other",
    [
        {"a": torch.zeros(2, 3), "c": torch.ones(1)},
        {"a": torch.zeros(3, 2), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3, dtype=torch.bfloat16), "b": torch.ones(1)},
        {"a": torch.zeros(2, 3), "b": torch.ones(1) + 1e-6},
    ],
)
def test_the_hash_sees_names_shapes_types_and_values(other):
    assert weights_hash(other) != weights_hash({"a": torch.zeros(2, 3), "b": torch.ones(1)})


def test_a_download_that_fails_says_what_to_put_where(tmp_path):
    origin = Origin("V1", "http://localhost:9/net.pth", tmp_path / "net.pth")
    expected = r"my:net: the weights V1 could not be fetched from http://localhost:9/net\.pth \(.*\); put the file at "
    with pytest.raises(MissingWeights, match=expected), fetching("my:net", origin):
        pytest.fail("must not try")
    with pytest.raises(MissingWeights, match="download it elsewhere and pass weights=PATH, or pass pretrained=False"):
        raise Origin("V1", "http://localhost:9").missing("my:net", "refused")


def test_a_download_that_breaks_off_says_so_too(monkeypatch):
    monkeypatch.setattr("fewshot.backbones.weights.unreachable", lambda address: None)
    with pytest.raises(MissingWeights, match=r"\(cut off\)"), fetching("my:net", Origin("V1", "http://localhost:9")):
        raise OSError("cut off")


def test_weights_that_are_here_need_no_network(tmp_path):
    path = tmp_path / "net.pth"
    path.touch()
    entered = False
    with fetching("my:net", Origin("V1", "http://localhost:9", path)):
        entered = True
    assert entered
    path.unlink()
    with pytest.raises(MissingWeights), fetching("my:net", Origin("V1", "http://localhost:9", path)):
        pass


def test_a_server_that_does_not_answer_is_found_out():
    assert unreachable("http://localhost:9", timeout=1)


def test_the_hub_cache_is_looked_into():
    assert hub_file("no-one/nothing", ["model.safetensors"]) is None


def test_release_frees_what_files_filled(tmp_path, state):
    torch.save(state, tmp_path / "net.pth")
    backbone = create_backbone("weights-test:net", weights=tmp_path / "net.pth")
    bytes_of_weights = backbone.memory
    assert release(backbone) == bytes_of_weights
