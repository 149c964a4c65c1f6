import json
import sys

import pytest

from performance import early_exit


def test_what_is_saved_is_written_for_each_number_of_threads(tmp_path, monkeypatch, capsys):
    few = "--batch-size 8 --batches 2 --rounds 2 --validation-images 50 --budgets 0.3 1.4"
    arguments = [*few.split(), "--threads", "1", "--json", str(tmp_path / "found.json")]
    monkeypatch.setattr(sys, "argv", ["early_exit", *arguments])
    early_exit.main()
    found = json.loads((tmp_path / "found.json").read_text())
    (run,) = found["runs"]
    assert run["threads"] == 1
    assert [each["q"] for each in run["budgets"]] == [0.3, 1.4]
    for each in run["budgets"]:
        cost = found["multiply_adds"][-1] * (1 - each["multiply_adds_saved"])
        assert found["multiply_adds"][0] <= cost <= found["multiply_adds"][-1]
        assert each["ratio"] == pytest.approx(each["time_saved"] / each["multiply_adds_saved"])
    assert {*run["seconds"]} == {"all looks", "q = 0.3", "q = 1.4"}
    assert "threads: 1" in capsys.readouterr().out


def test_unknown_budgets_are_refused():
    with pytest.raises(ValueError, match=r"budgets are one or more of .*got \(0.33,\)"):
        early_exit.Arguments(budgets=(0.33,))
