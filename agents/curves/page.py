"""The figures of `curves.json` as tables in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agents.curves.measure import PLAIN
from agents.curves.pairs import FURTHER, TEST
from agents.curves.report import EARLY_EXITS, STYLES
from agents.reporting.markdown import markdown_table

_WHERE = "images"


def report_page(found: Mapping[str, Any]) -> str:
    """Return a page of all that `gf-env curves` found, of what it writes to `curves.json`."""
    shown, *others = found["pairs"]
    over_pairs = (
        f"*all pairs*: mean ratio over {1 + len(others)} trainings of network and policy, with a "
        "95% bootstrap interval. "
    )
    lines = [
        f"# {found['network']} with the policy {found['policy']}, beside plain networks",
        "",
        "Written by `gf-env curves`. Thresholds are chosen on validation images; all figures are "
        "of test images. *ratio*: multiply-adds divided by those of a plain network that is as "
        f"often right, interpolated between the sizes trained. {over_pairs if others else ''}"
        "*time*: the same ratio of measured time.",
        "",
        "## Plain networks",
        "",
        *_plain(found["points"]),
        "",
        "## Pairs: accuracy after each look",
        "",
        *_accuracies(found["pairs"]),
    ]
    for curve in EARLY_EXITS:
        for part in shown:
            if part != "name" and shown[part][curve]:
                lines += ["", f"## {STYLES[curve][0]}: {_part(part, found)}", ""]
                lines += _compared(found, part, curve)
    return "\n".join(lines) + "\n"


def _part(part: str, found: Mapping[str, Any]) -> str:
    further = f"{found['further_scenes']:,} further scenes"
    return {TEST: "test images", FURTHER: further}[part]


def _plain(points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    plain = [each for each in points if each["curve"] == PLAIN]
    return markdown_table(
        ["pixels", "accuracy", "multiply-adds", "ms an image"],
        (
            [
                f"{each['setting']:.0f}",
                f"{each['accuracy']:.4f}",
                _millions(each["multiply_adds"]),
                f"{each['seconds'] * 1e3:.2f}",
            ]
            for each in plain
        ),
    )


def _accuracies(pairs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    parts = [part for part in pairs[0] if part != "name"]
    looks = range(len(pairs[0][TEST]["accuracy"]))
    return markdown_table(
        ["pair", _WHERE, *(str(look + 1) for look in looks)],
        (
            [pair["name"], part, *(f"{each:.4f}" for each in pair[part]["accuracy"])]
            for part in parts
            for pair in pairs
        ),
        texts=["pair", _WHERE],
    )


def _compared(found: Mapping[str, Any], part: str, curve: str) -> Iterator[str]:
    """Yield a row for each accuracy that the pair that is shown reaches on validation images."""
    several = len(found["pairs"]) > 1
    over_pairs = {each["wanted"]: each for each in found["over_pairs"][part][curve]}
    times = [
        (
            f"time, batch {each['batch_size']}, threads {each['threads']}",
            {row["wanted"]: row["ratio"] for row in each[curve]},
        )
        for each in (found["time"] if part == TEST else ())
    ]
    return markdown_table(
        [
            *("wanted", "accuracy", "looks", "multiply-adds", "plain", "ratio"),
            *(["all pairs"] if several else []),
            *(name for name, _ in times),
        ],
        (
            [
                f"{row['wanted']:g}",
                f"{row['accuracy']:.4f}",
                f"{row['looks']:.2f}",
                _millions(row["multiply_adds"]),
                _millions(row["plain"]),
                f"{row['ratio']:.2f}",
                *([_interval(over_pairs.get(row["wanted"]))] if several else []),
                *(f"{ratios[row['wanted']]:.2f}" for _, ratios in times),
            ]
            for row in found["pairs"][0][part][curve]
        ),
    )


def _interval(found: Mapping[str, Any] | None) -> str:
    if found is None or found["low"] is None:
        return ""
    return f"{found['estimate']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _millions(count: float) -> str:
    return f"{count / 1e6:.1f}M"
