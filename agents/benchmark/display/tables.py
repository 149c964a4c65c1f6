"""A report as tables for the terminal and as Markdown, both from the same cells."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from agents.benchmark.analysis.report import Report
from agents.benchmark.display.cells import ENTRY, TextTable, stops_or_pays, text_tables
from agents.reporting.markdown import escape, markdown_table

KINDS = {
    "bound": "bound: sees labels",
    "rule": "rule: does not learn",
    "learner": "learner: trained here",
    "given": "given: made elsewhere",
}
"""What entries can be, for people."""


def terminal_tables(report: Report) -> list[Table]:
    """Return a report's tables for a terminal of 110 columns.

    They leave out the intervals of returns, and of accuracy after all looks but the last.
    """
    return [_terminal_table(each) for each in text_tables(report)]


def markdown(report: Report) -> str:
    """Return a report as a section of Markdown: tables, what is missing, how it was made."""
    lines = [f"## {report.suite}", "", report.description, "", _explanation(report), ""]
    for each in text_tables(report):
        lines += [f"### {each.title}", "", *_markdown_table(each), ""]
    if report.missing:
        lines += ["### Missing, or to be wary of", ""]
        lines += [f"- {escape(sentence)}" for sentence in report.missing] + [""]
    lines.append(f"{'; '.join(_made_by(report))}.")
    return "\n".join(lines) + "\n"


def _made_by(report: Report) -> Iterator[str]:
    """Yield how many runs there are and the time they took, when, on what and with what."""
    runs = f"{report.runs} of {report.planned} runs done"
    yield f"{runs}, in {_duration(report.seconds)} of core time"
    if report.made.first is not None and report.made.last is not None:
        days = [time.partition("T")[0] for time in (report.made.first, report.made.last)]
        yield " to ".join(dict.fromkeys(days))
    yield from map(_machine, report.made.machines)
    for versions in report.made.versions:
        yield ", ".join(f"{name} {version}" for name, version in versions.items())


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [machine.get("cpu"), machine.get("gpu"), machine.get("system")]
    if "cores" in machine:
        parts.insert(1, f"{machine['cores']} cores")
    return ", ".join(str(part) for part in parts if part)


def _explanation(report: Report) -> str:
    return (
        "Interquartile means over seeds with 95% stratified bootstrap intervals, of the likeliest "
        f"actions but where sampled ones are named. *gap*: share of the way from {report.random} "
        f"to {report.oracle}, by accuracy after the last look. *points more*: paired difference to "
        f"{report.reference} in accuracy after the last look on the same images, over images and "
        "seeds. *P(better)*: probability that a seed ends above one of it. *area*: mean accuracy "
        "over the costs between the glance's and all looks', of images that leave once the network "
        "is sure. *seen again*: share of a patch that earlier patches of the episode had shown, "
        "and *put right*: share of looks after which the network was right, both of looks that "
        "follow one after which it was wrong. *steps*, *seconds*: of training. "
        f"{''.join(_on_comparisons(report))}"
        f"Kinds: {'; '.join(KINDS.values())}."
    )


def _on_comparisons(report: Report) -> Iterator[str]:
    """Yield sentences on the tables and columns that only some reports have."""
    lines = [line for setting in report.settings for line in setting.lines]
    if any(line.return_on_training for line in lines):
        yield (
            "*training return*: of the trained policy on as many images that it learned from, "
            "again with the likeliest actions. "
        )
    if any(line.training and line.training.at_plateau is not None for line in lines):
        yield (
            "*at plateau*: seeds whose return on validation images was flat at the end, by the "
            "rule of `agents.learners.plateau`; the policy kept is the best there. "
        )
    if any(setting.differences for setting in report.settings):
        yield (
            "*return more*: mean over seeds of the return of one less that of the other, with an "
            "interval over both sides' seeds. "
        )
    if any(stops_or_pays(line) for setting in report.settings for line in setting.lines):
        yield (
            "*price*: what a look costs. *gain*: the return before that is taken off. *looks*: of "
            "an episode, the glance included. *M multiply-adds*: millions of an episode, with the "
            "policy's where it says so. "
        )
    if any(setting.curves for setting in report.settings):
        yield (
            "*points more than others*: accuracy of a policy that stops less that of other ways to "
            "stop at the same mean multiply-adds, for the same seed; means over seeds with 95% "
            "bootstrap intervals. *mean over the curve*: from the cheapest to the dearest policy "
            "that stops, where each side has the upper concave hull of its points. "
        )


def _terminal_table(table: TextTable) -> Table:
    made = Table(title=Text(table.title), box=box.SIMPLE_HEAD, collapse_padding=True)
    for column in table.columns:
        if column.is_text:
            made.add_column(column.name, overflow="fold", no_wrap=column == ENTRY[1])
        else:
            # without intervals only a header can be wider than a word
            made.add_column(column.name, justify="right", no_wrap=not column.brief)
    for row in table.rows:
        cells = zip(table.columns, row, strict=True)
        made.add_row(
            *(Text(cell.estimate if column.brief else cell.text) for column, cell in cells)
        )
    return made


def _markdown_table(shown: TextTable) -> Iterator[str]:
    return markdown_table(
        [column.name for column in shown.columns],
        ([cell.text for cell in row] for row in shown.rows),
        texts=[column.name for column in shown.columns if column.is_text],
    )
