from agents.curves.page import report_page

ROW = {"wanted": 0.9, "setting": 0.8, "accuracy": 0.91234, "looks": 2.125}
ROW |= {"multiply_adds": 7.5e6, "plain": 15e6, "ratio": 0.5}
PLAIN = {"curve": "plain", "setting": 48.0, "accuracy": 0.95, "multiply_adds": 15e6}
PART = {"accuracy": [0.5, 0.9], "confident": [ROW], "budgeted": []}
OVER = {"wanted": 0.9, "estimate": 0.515, "low": 0.49, "high": 0.53}
FOUND = {
    "network": "ours",
    "policy": "a|b",
    "points": [PLAIN | {"seconds": 0.00123}, PLAIN | {"curve": "anytime", "seconds": 1.0}],
    "pairs": [{"name": name, "test": PART, "further": PART} for name in ("ours", "run")],
    "over_pairs": {
        "test": {"confident": [OVER], "budgeted": []},
        "further": {"confident": [OVER | {"low": None, "high": None}], "budgeted": []},
    },
    "time": [{"batch_size": 64, "threads": 2, "confident": [{"wanted": 0.9, "ratio": 0.75}]}],
    "further_scenes": 4000,
}


def test_every_figure_is_on_the_page():
    lines = report_page(FOUND).splitlines()
    assert "| 48 | 0.9500 | 15.0M | 1.23 |" in lines
    assert lines.count("| ours | test | 0.5000 | 0.9000 |") == 1
    assert lines.count("| run | further | 0.5000 | 0.9000 |") == 1
    compared = "| 0.9 | 0.9123 | 2.12 | 7.5M | 15.0M | 0.50 |"
    assert f"{compared} 0.52 [0.49, 0.53] | 0.75 |" in lines
    assert f"{compared}  |" in lines  # two may have no interval, and further scenes have no time
    assert [line for line in lines if "confidence: " in line] == [
        "## GFNet, early exit at one confidence: test images",
        "## GFNet, early exit at one confidence: 4,000 further scenes",
    ]
    assert not [line for line in lines if "budgets" in line]


def test_one_pair_alone():
    page = report_page(FOUND | {"pairs": FOUND["pairs"][:1]})
    assert "| 0.9 | 0.9123 | 2.12 | 7.5M | 15.0M | 0.50 | 0.75 |" in page
    assert "all pairs" in report_page(FOUND)
    assert "all pairs" not in page
