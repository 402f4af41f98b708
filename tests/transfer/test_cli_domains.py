"""`fewshot transfer shift` and `adapt`, run as a person runs them."""

import csv
import json
import re
from importlib.util import find_spec

import pytest
import torch
from click.testing import CliRunner

from fewshot.cli import main
from fewshot.datasets.grouping import Grouping
from fewshot.embeddings import EmbeddingTable
from fewshot.errors import InvalidInput
from fewshot.transfer.domains.loading import Domain, matched

needs_skada = pytest.mark.skipif(find_spec("skada") is None, reason="needs the package skada (extra: transfer)")


@pytest.fixture
def tables(tmp_path):
    """Two domains as saved tables; the target is moved, and its classes are named in another order."""
    generator = torch.Generator().manual_seed(0)
    for name, classes, move in (("here", ("ant", "bee", "cat"), 0.0), ("there", ("cat", "ant", "bee"), 1.0)):
        labels = torch.arange(3).repeat_interleave(40)
        places = torch.tensor([("ant", "bee", "cat").index(known) for known in classes])
        items = 4 * torch.eye(6)[places[labels]] + torch.randn(120, 6, generator=generator) + move
        ids = tuple(f"{name}/{row}" for row in range(120))
        half = Grouping.of(["day" if row % 2 else "night" for row in range(120)])
        EmbeddingTable(items, labels, classes, ids, {"light": half}, "net", name).save(tmp_path / name)
    return tmp_path


def run(*arguments, code=0):
    done = CliRunner().invoke(main, ["transfer", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done


def test_shift_in_words_and_json(tables) -> None:
    told = run("shift", tables / "here", tables / "there", "--permutations", 199).output
    assert "Covariate shift: items of a class look different in the target." in told
    assert "could help: " in told
    assert re.search(r"proxy A-distance.*to", told)
    found = json.loads(run("shift", tables / "here", tables / "there", "--permutations", 199, "--json").output)
    assert "covariate" in found["kinds"]
    assert found["items"] == [120, 120]
    assert found["mmd"]["p_value"] == pytest.approx(1 / 200)
    assert found["labelled"] is True
    hidden = json.loads(run("shift", tables / "here", tables / "there", "--unlabelled", "--json").output)
    assert hidden["labelled"] is False
    assert hidden["concept"] is None


def test_groups_of_a_table_are_domains(tables) -> None:
    found = json.loads(run("shift", f"{tables / 'here'}@light=day", f"{tables / 'here'}@light=night", "--json").output)
    assert found["kinds"] == []
    assert found["items"] == [60, 60]


@needs_skada
def test_adapt_scores_and_writes(tables) -> None:
    out = tables / "named.csv"
    arguments = ("adapt", tables / "here", tables / "there", "--method", "coral", "--method", "tca:components=4")
    found = json.loads(run(*arguments, "--out", out, "--json").output)
    assert [row["method"] for row in found["methods"]] == ["source-only:classifier=1-nn", "coral", "tca:components=4"]
    assert found["methods"][0]["gain"] is None
    assert found["methods"][1]["gain"] == pytest.approx(
        found["methods"][1]["accuracy"] - found["methods"][0]["accuracy"]
    )
    assert found["methods"][1]["accuracy"] > 0.9
    assert found["methods"][1]["sees"].startswith("transductive")
    rows = list(csv.DictReader(out.open()))
    assert rows[0]["item"] == "there/0"
    truth = ["cat"] * 40 + ["ant"] * 40 + ["bee"] * 40
    right = sum(row["coral"] == known for row, known in zip(rows, truth, strict=True)) / 120
    assert right == pytest.approx(found["methods"][1]["accuracy"])
    told = run(*arguments).output
    assert "over no adaptation" in told


@needs_skada
def test_adapt_without_labels_names_and_scores_nothing(tables) -> None:
    out = tables / "named.csv"
    told = run("adapt", tables / "here", tables / "there", "--unlabelled", "--method", "rulsif", "--out", out).output
    assert "accuracy" not in told
    assert "named.csv" in told.replace("\n", "")
    assert len(list(csv.DictReader(out.open()))) == 120


def test_deep_methods_are_compared_with_their_own_network(tables) -> None:
    found = json.loads(
        run("adapt", tables / "here", tables / "there", "--method", "dan:epochs=3,batch=40", "--json").output
    )
    assert found["methods"][0]["method"].startswith("deep-source-only:epochs=3,batch=40")


def test_methods_are_listed() -> None:
    found = json.loads(run("adapt", "--list", "--json").output)
    assert {"coral", "jda", "shot", "tent", "kmm", "bbse"} <= {each["name"] for each in found}
    assert "subspace-alignment" in run("adapt", "--list").output


def test_pictures_without_class_folders_are_a_target(tables) -> None:
    from PIL import Image

    shades = {"dark": 40, "light": 200}
    for name, shade in shades.items():
        (tables / "photos" / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (32, 32), (shade + number,) * 3).save(tables / "photos" / name / f"{number}.png")
    (tables / "new").mkdir()
    for number in range(4):
        Image.new("RGB", (32, 32), (50 if number % 2 else 190,) * 3).save(tables / "new" / f"{number}.png")
    out = tables / "named.csv"
    run("adapt", tables / "photos", tables / "new", "--unlabelled", "--backbone", "fewshot:raw-pixels",
        "--method", "rulsif", "--out", out)  # fmt: skip
    named = {row["item"].rsplit("/", 1)[1]: row["rulsif"] for row in csv.DictReader(out.open())}
    assert named == {"0.png": "light", "1.png": "dark", "2.png": "light", "3.png": "dark"}


def test_what_cannot_be_is_told_in_one_line(tables) -> None:
    few = EmbeddingTable.load(tables / "there").select(classes=["cat", "ant"])
    few.save(tables / "few")
    for arguments, told in (
        (("shift", tables / "here", tables / "few"), "only in the source: bee"),
        (("adapt", tables / "here", tables / "few", "--method", "em"), "--shared-classes"),
        (("adapt", tables / "here", tables / "there", "--method", "corall"), "near: coral"),
        (("adapt", tables / "here", tables / "there", "--method", "tca:components"), "name:setting=value"),
        (("adapt", tables / "here", "--method", "coral"), "adapt needs SOURCE, TARGET and --method"),
        (("shift", tables / "here", "nowhere"), "nowhere"),
        (("shift", f"{tables / 'here'}@test", tables / "there"), "a table has no splits"),
        (("shift", f"{tables / 'here'}@light=dusk", tables / "there"), "dusk"),
    ):
        output = run(*arguments, code=2).output
        assert told in output
        assert len(output.strip().splitlines()) == 1
    found = json.loads(run("shift", tables / "here", tables / "few", "--shared-classes", "--json").output)
    assert found["classes"] == ["ant", "cat"]


def test_classes_are_matched_by_name() -> None:
    left = Domain("a", torch.eye(3), ("0", "1", "2"), torch.tensor([0, 1, 2]), ("x", "y", "z"))
    right = Domain("b", torch.eye(3), ("3", "4", "5"), torch.tensor([2, 0, 1]), ("z", "y", "x"))
    first, second = matched(left, right)
    assert first.class_names == second.class_names == ("x", "y", "z")
    assert first.labels.tolist() == [0, 1, 2]
    assert second.labels.tolist() == [0, 2, 1]
    with pytest.raises(InvalidInput, match="share 0 classes"):
        matched(left, Domain("c", torch.eye(2), ("6", "7"), torch.tensor([0, 1]), ("u", "v")), shared=True)
    with pytest.raises(InvalidInput, match="a has no labels"):
        matched(Domain("a", torch.eye(2), ("0", "1"), None, ()), right)


def test_named_tables(shared_data) -> None:
    found = json.loads(
        run(
            "adapt", "office-caltech10@domain=webcam", "office-caltech10@domain=dslr", "--method", "gfk", "--json"
        ).output
    )
    assert found["methods"][0]["accuracy"] == pytest.approx(0.5924, abs=1e-4)
    assert found["methods"][1]["gain"] > 0.2
