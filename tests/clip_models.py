"""Small models of open_clip's kinds, trained for a moment on coloured squares and their names."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid, normalize

COLOURS = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 1, 0),
    "cyan": (0, 1, 1),
    "magenta": (1, 0, 1),
    "white": (1, 1, 1),
    "black": (0, 0, 0),
}
_VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
_TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
_SIGLIP = {
    "no_causal_mask": True,
    "proj_bias": True,
    "pool_type": "last",
    "tokenizer_kwargs": {"clean": "canonicalize"},
}
KINDS: dict[str, dict[str, Any]] = {
    "clip": {"embed_dim": 24, "vision_cfg": _VISION, "text_cfg": _TEXT},
    "quickgelu": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": _VISION, "text_cfg": _TEXT},
    "two-way": {"embed_dim": 24, "vision_cfg": _VISION, "text_cfg": {**_TEXT, "no_causal_mask": True}},
    "custom-text": {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": _VISION,
        "text_cfg": {**_TEXT, "context_length": 12, "pool_type": "eos", "eos_id": 49407},
    },
    "coca": {
        "embed_dim": 24,
        "custom_text": True,
        "vision_cfg": {**_VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": {**_TEXT, "context_length": 15, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {"context_length": 15, "vocab_size": 49408, "width": 24, "heads": 2, "layers": 1},
    },
    "sigmoid": {
        "embed_dim": 24,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 32, "timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear"},
        "text_cfg": {**_TEXT, **_SIGLIP},
    },
    "resnet": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
        "text_cfg": _TEXT,
    },
}


def squares(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy squares (8 * count, 3, 32, 32) on grey, `count` of each colour in turn, and the numbers of the colours."""
    draw = torch.Generator().manual_seed(seed)
    colours = torch.tensor(list(COLOURS.values())).float().repeat(count, 1)
    images = torch.full((len(colours), 3, 32, 32), 0.5)
    images[:, :, 6:26, 6:26] = colours[:, :, None, None]
    images += 0.2 * torch.randn(images.shape, generator=draw)
    return images, torch.arange(len(COLOURS)).repeat(count)


def trained_folder(kind: str, folder: Path, steps: int = 100) -> Path:
    """A folder as open_clip saves it, of a model that knows the colours; it is also a model called tiny-KIND."""
    named = folder / f"tiny-{kind}.json"
    named.write_text(json.dumps(KINDS[kind]))
    open_clip.add_model_config(named)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = open_clip.create_model(f"tiny-{kind}", pretrained_image=False, pretrained_text=False)
        _train(model, open_clip.get_tokenizer(f"tiny-{kind}"), steps)
    config = {"model_cfg": KINDS[kind], "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return folder


def _train(model: Any, tokenizer: Any, steps: int) -> None:
    words = getattr(model, "text", model).token_embedding.requires_grad_(False)  # so many that training them takes long
    words.weight.data *= 15
    templates = ("{}", "a {} square", "a photo of a {}.")
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=2e-3)
    for step in range(steps):
        images, labels = squares(1, seed=step)
        texts = tokenizer([templates[step % 3].format(name) for name in COLOURS])
        image, text = (normalize(each, dim=1) for each in (model.encode_image(images), model.encode_text(texts)))
        logits = model.logit_scale.exp() * image @ text.T
        if model.logit_bias is None:
            loss = cross_entropy(logits, labels)
        else:
            loss = -logsigmoid((logits + model.logit_bias) * (2 * torch.eye(len(labels)) - 1)).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
