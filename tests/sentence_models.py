"""A small sentence encoder over a few words, untrained, in a folder as sentence-transformers saves it."""

import json
from pathlib import Path

import torch

WORDS = ("a", "an", "photo", "of", "the", "cat", "dog", "red", "bus", "tree", "x", "y", ".")
CONTEXT = 16


def write_sentences(folder: Path, pooling: list[str], marks: bool = True, normal: bool = False) -> str:
    """The name of an encoder of one BERT layer; `marks` says whether texts begin with [CLS] and end with [SEP]."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    signs = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokens = Tokenizer(models.WordLevel({sign: place for place, sign in enumerate(signs)}, unk_token="[UNK]"))
    tokens.normalizer, tokens.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    if marks:
        tokens.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(vocab_size=len(signs), max_position_embeddings=CONTEXT, initializer_range=0.5, **sizes)
        BertModel(config).save_pretrained(folder)
    kinds = ("", "Pooling", "Normalize") if normal else ("", "Pooling")
    modules = [{"path": kind, "type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "Pooling").mkdir()
    (folder / "Pooling" / "config.json").write_text(json.dumps({"pooling_mode": pooling}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": CONTEXT}))
    return f"sentence:{folder}"
