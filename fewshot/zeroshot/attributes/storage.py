"""A fitted attribute method as a folder: `model.safetensors` and `model.json`."""

from dataclasses import asdict
from pathlib import Path

from fewshot.errors import UnreadableFile
from fewshot.files import read_json, whole_folder, write_json, write_tensors
from fewshot.zeroshot.attributes.method import AttributeModel
from fewshot.zeroshot.attributes.registry import create_attribute_method

FORMAT, VERSION = "fewshot.AttributeModel", 1


def save_model(model: AttributeModel, folder: Path) -> None:
    """Write method, settings and tensors to `folder`, whole or not at all; see `AttributeModel.save`."""
    content = {"format": FORMAT, "version": VERSION, "method": model.method.name, "settings": asdict(model.method)}
    with whole_folder(folder) as beside:
        write_tensors(beside / "model.safetensors", model.state, {"format": FORMAT})
        write_json(beside / "model.json", content)


def load_model(folder: Path) -> AttributeModel:
    """Open `folder`; raises `UnreadableFile` for what is missing, damaged or of a later version."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    content = read_json(folder / "model.json")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UnreadableFile(f"{folder} holds no AttributeModel")
    try:
        if content["version"] > VERSION:
            raise UnreadableFile(
                f"{folder} is of version {content['version']}, this fewshot reads {VERSION}: upgrade it"
            )
        state = load_file(folder / "model.safetensors")
        return AttributeModel(create_attribute_method(content["method"], **content["settings"]), state)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise UnreadableFile(f"{folder} is damaged ({error})") from None
