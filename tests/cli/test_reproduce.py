"""`fewshot bench reproduce`: the list, a quick run, and what is refused."""

import json

RUNS = "protonet/lake2019_oneshot_minimal1"


def test_the_list_tells_published_and_ours(fewshot) -> None:
    rows = json.loads(fewshot("bench", "reproduce", "--list", "--json").output)
    found = {(row["experiment"], row["task"]): row for row in rows}
    row = found["protonet/snell2017_omniglot", "20-way 1-shot, 15 queries, with rotations"]
    assert (row["published"], row["goal"]) == ("96.0", "95.7")
    few = fewshot("bench", "reproduce", "--list", "maml/*").output
    assert "maml/finn2017_omniglot_5way_1shot" in few
    assert "protonet" not in few


def test_a_quick_run(fewshot, shared_data, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FEWSHOT_DATA", str(shared_data))
    result = fewshot("bench", "reproduce", RUNS, "--steps", "1", "--device", "cpu", "--json")
    assert result.exit_code == 0, result.stderr
    [row] = json.loads(result.stdout)
    assert (row["experiment"], row["published"]) == (RUNS, "69.9")
    assert 0 < float(row["ours"].split()[0]) < 100
    assert (tmp_path / "experiments" / f"{RUNS}_1_steps" / "result.json").exists()


def test_refusals(fewshot) -> None:
    def refused(*arguments: str) -> str:
        result = fewshot("bench", "reproduce", *arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        return result.stderr

    assert "name an experiment, or see fewshot bench reproduce --list" in refused()
    assert "a quick look is not recorded" in refused(RUNS, "--steps", "5", "--record")
    assert "a quick look is not recorded" in refused(RUNS, "--tasks", "5", "--record")
    assert "no experiment is called 'protonett'" in refused("protonett")
