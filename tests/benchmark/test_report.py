"""Reports say what the results say, and nothing else."""

import re
from html.parser import HTMLParser

import pytest
from results import make_result
from rich.console import Console

from fewshot.benchmark.report import (
    accuracy_by_shots,
    accuracy_tables,
    html_report,
    markdown_report,
    percent_and_seconds,
    replace_block,
    terminal_report,
)
from fewshot.benchmark.report.trade_off import trade_offs, worth_their_time
from fewshot.errors import InvalidInput


@pytest.fixture
def results():
    return [
        make_result("ridge", 0.60, shots=1),
        make_result("ridge", 0.75, shots=5),
        make_result("simpleshot", 0.62, shots=1, facts={"needs_base_mean": True}),
        make_result("ridge", 0.30, shots=1, ways="all"),
        make_result("ridge", 0.50, shots=1, dataset="farm"),
    ]


def test_tables(results) -> None:
    farm, zoo = accuracy_tables(results)
    assert farm.dataset == "farm (test)"
    assert zoo.tasks == ("5-way 1-shot", "5-way 5-shot", "all-way 1-shot")
    assert [row.learner for row in zoo.rows] == ["ridge", "simpleshot"]
    assert zoo.rows[1].assumes == ("needs_base_mean",)
    assert zoo.rows[1].cells[1:] == (None, None)
    assert zoo.best(0).learner["name"] == "simpleshot"
    assert zoo.facts == "20 classes, 1,000 images; 50 episodes a number, 15 queries a class, seed 0"


def test_what_all_tasks_share_is_told_once() -> None:
    pooled = {"ways": "all", "pool": "2/3", "words": "simple"}
    [table] = accuracy_tables([make_result(shots=shots, **pooled) for shots in (1, 16)])
    assert table.tasks == ("all-way 1-shot", "all-way 16-shot")
    assert table.shared == "pool 2/3, words simple"
    assert table.facts.endswith(
        "50 draws of the support, each tested on all test images, seed 0; pool 2/3, words simple"
    )
    assert markdown_report([cell for row in table.rows for cell in row.cells]).count("words simple") == 1


def test_what_only_some_tasks_have_stays_with_them() -> None:
    pooled = {"ways": "all", "pool": "2/3"}
    [table] = accuracy_tables([make_result(words="simple", **pooled), make_result(words="name", shots=2, **pooled)])
    assert table.tasks == ("all-way 1-shot, pool 2/3, words simple", "all-way 2-shot, pool 2/3, words name")
    assert table.shared == ""
    [table] = accuracy_tables([make_result(), make_result(shots=5, query_imbalance=2.0)])
    assert table.tasks == ("5-way 1-shot", "5-way 5-shot, Dirichlet(2)")
    assert table.shared == ""


def test_a_single_task_keeps_all_of_its_head() -> None:
    [table] = accuracy_tables([make_result("a", query_imbalance=2.0), make_result("b", query_imbalance=2.0)])
    assert table.tasks == ("5-way 1-shot, Dirichlet(2)",)
    assert table.shared == ""


def test_a_stream_is_told_as_one_and_not_as_all_queries_at_once() -> None:
    facts = {"transductive": True, "needs_words": True}
    results = [make_result("tda", facts={**facts, "streaming": True}), make_result("zlap", facts=facts)]
    [table] = accuracy_tables(results)
    assert [row.assumes for row in table.rows] == [("streaming", "needs_words"), ("transductive", "needs_words")]
    text = markdown_report(results[:1])
    assert "| timm:net | tda \\* \\*\\* |" in text
    assert "\\* sees the queries one after the other and learns from those before; \\*\\* classifies by words" in text
    for report in (text, html_report(results[:1])):
        assert "one after the other" in report
        assert "all queries of a task at once" not in report


def test_markdown(results) -> None:
    text = markdown_report(results)
    ridge = f"{100 * results[0].accuracy:.2f} ± {100 * results[0].ci95:.2f}"
    assert f"| timm:net | ridge | {ridge} |" in text
    assert "| timm:net | simpleshot \\* | **" in text
    assert "\\* uses the mean of base classes" in text
    widths = {line.count("|") for line in text.split("\n\n")[-2].splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_seconds_on_request(results) -> None:
    assert "± 1.50 (10 s)" in markdown_report(results, percent_and_seconds)
    assert "(10 s)" not in markdown_report(results)


def test_the_learners_worth_their_time() -> None:
    fast, slow = make_result("a", 0.5, seconds=1), make_result("b", 0.8, seconds=10)
    beaten, late = make_result("c", 0.6, seconds=20), make_result("d", 0.79, seconds=9, facts={"transductive": True})
    assert worth_their_time([slow, late, beaten, fast]) == [fast, late, slow]
    drawn = trade_offs([slow, late, beaten, fast, make_result("e", shots=5)])
    assert drawn == {"zoo (test), net": {"5-way 1-shot": [slow, late, beaten, fast]}}
    page = html_report([slow, late, beaten, fast])
    assert page == html_report([slow, late, beaten, fast])
    assert page.count("<svg") == 1
    assert "Accuracy against time" in page


def test_html_is_whole_and_self_contained(results) -> None:
    page = html_report(results, "A <title>")
    assert "A &lt;title&gt;" in page
    assert page.count("<svg") == 1
    assert not re.search(r'(src|href)="(?!#)', page)
    open_tags: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Balance().feed(page)
    assert open_tags == []


def test_terminal(results) -> None:
    console = Console(width=160, record=True)
    with console.capture() as capture:
        terminal_report(results, console)
    text = capture.get()
    assert f"{100 * results[1].accuracy:.2f} ± {100 * results[1].ci95:.2f}" in text
    assert "needs_base_mean" in text


def test_curves_are_in_the_order_of_shots() -> None:
    plots = accuracy_by_shots([make_result(shots=shots) for shots in (8, 1, 2)])
    (curves,) = plots.values()
    assert [result.protocol.shots for result in curves["net · ridge"]] == [1, 2, 8]


def test_replace_block(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results:begin -->\nold\n<!-- results:end -->\nafter\n")
    replace_block(page, "new\n")
    assert page.read_text() == "before\n<!-- results:begin -->\nnew\n<!-- results:end -->\nafter\n"


def test_replace_block_by_name(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- results:begin -->a<!-- results:end --><!-- curves:begin -->b<!-- curves:end -->c")
    replace_block(page, "new", block="curves")
    assert page.read_text() == (
        "<!-- results:begin -->a<!-- results:end --><!-- curves:begin -->\nnew\n<!-- curves:end -->c"
    )


def test_replace_block_needs_its_marks(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(InvalidInput, match="must hold the lines <!-- results:begin -->"):
        replace_block(page, "new")
    assert page.read_text() == "no marks"
    with pytest.raises(InvalidInput, match="missing.md must hold"):
        replace_block(tmp_path / "missing.md", "new")
