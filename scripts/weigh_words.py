"""How much words weigh beside images in two learners of docs/words.md, in the space of the default bridge.

GDA where the words weigh nothing (alpha 1e6) against GDA as it is, on the same draws as in benchmarks/words_store; and
what an image of the support adds to a logit of Tip-Adapter beside what the words say, among 1,000 of the test images
of CIFAR-FS's test classes. Writes benchmarks/findings/words_weight.json. Run with
`uv run --extra offline python scripts/weigh_words.py`.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import normalize

import fewshot
from fewshot.backbones import Backbone
from fewshot.benchmark.result import Result
from fewshot.benchmark.runner import run
from fewshot.benchmark.store import ResultStore
from fewshot.files import write_json
from fewshot.learners import parse_learner
from fewshot.learners.vision_language.tip_adapter import TipAdapter
from fewshot.metrics import paired_test
from fewshot.provenance import provenance
from fewshot.zeroshot.text_classifier import build_words

BRIDGE, SHOTS = "bridge:lite0-minilm", (4, 16)
BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
STORE, FOUND = BENCHMARKS / "words_store", BENCHMARKS / "findings" / "words_weight.json"
WITHOUT = "gda:alpha=1e6"
IMAGES, SEED = 1000, 0


def gda_without_words(backbone: Backbone) -> list[dict[str, Any]]:
    """The discriminant alone, and what words add to it, paired over the draws."""
    kept = {result.protocol: result for result in ResultStore(STORE) if _is_gda(result, backbone)}
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run(list(kept), [backbone], [parse_learner(WITHOUT)], ResultStore(folder), progress=False)
    rows = []
    for outcome in outcomes:
        alone, both = outcome.result, kept[outcome.protocol]
        assert alone is not None, outcome.reason
        assert alone.episodes == both.episodes
        added = paired_test(both.per_episode, alone.per_episode).difference
        rows.append(
            {
                "dataset": outcome.protocol.dataset,
                "shots": outcome.protocol.shots,
                "without": {"accuracy": alone.accuracy, "ci95": alone.ci95, "draws": alone.per_episode.tolist()},
                "with": {"accuracy": both.accuracy, "ci95": both.ci95},
                "words_add": {"mean": added.mean, "ci95": added.half_width},
            }
        )
    return sorted(rows, key=lambda row: (row["dataset"], row["shots"]))


def _is_gda(result: Result, backbone: Backbone) -> bool:
    as_it_is = result.learner["name"] == "gda" and result.learner["settings"] == result.learner["defaults"]
    return as_it_is and result.backbone["fingerprint"] == backbone.fingerprint and result.protocol.shots in SHOTS


def logits_of_tip_adapter(backbone: Backbone) -> dict[str, Any]:
    """What an image adds to the logit of its class, alpha exp(-beta (1 - cosine)), and by what the first word leads."""
    table = fewshot.embed(backbone, fewshot.load_dataset("cifar-fs", split="test"))
    words = build_words(backbone, table.class_names, "simple", progress=False)
    rows = torch.randperm(len(table), generator=torch.Generator().manual_seed(SEED))[:IMAGES]
    features, labels = normalize(table.features[rows], dim=1), table.labels[rows]
    learner = TipAdapter()
    adds = learner.alpha * (learner.beta * (features @ features.T - 1)).exp()
    same = labels[:, None] == labels
    others = same.logical_not()
    same.fill_diagonal_(False)
    leads = (words.scale * (features @ words.vectors.T)).topk(2, dim=1).values
    return {
        "settings": {"alpha": learner.alpha, "beta": learner.beta},
        "images": IMAGES,
        "right_class": float(adds[same].mean()),
        "other_class": float(adds[others].mean()),
        "words_lead": float((leads[:, 0] - leads[:, 1]).mean()),
    }


def main() -> None:
    backbone = fewshot.create_backbone(BRIDGE, precision="float32")
    content = {
        "backbone": {"name": BRIDGE, "fingerprint": backbone.fingerprint, "precision": "float32"},
        "learner": WITHOUT,
        "seed": SEED,
        "provenance": provenance(),
        "tip_adapter": logits_of_tip_adapter(backbone),
        "gda": gda_without_words(backbone),
    }
    write_json(FOUND, content)
    print(content["tip_adapter"])
    for row in content["gda"]:
        added = row["words_add"]
        print(
            f"{row['dataset']} {row['shots']}: {100 * row['without']['accuracy']:.2f} without words, which add "
            f"{100 * added['mean']:.2f} ± {100 * added['ci95']:.2f}"
        )


if __name__ == "__main__":
    main()
