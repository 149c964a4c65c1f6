"""The page on the built-in tasks, made of what was measured: `docs/TASKS.md`."""

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gf_env.builtin_tasks import BUILTIN_TASKS, LEVELS, BuiltinTask
from gf_env.datasets.scenes.registry import SCENES


class Asked(NamedTuple):
    """What a task asks for.

    Attributes:
        word: for it, one.
        suite: the benchmark's suite in which it is taken away.
        control: what that suite takes away, and what follows.
    """

    word: str
    suite: str
    control: str


ASKED = {
    "cluttered-digits": Asked("find", "find", "A learner that sees nothing but the step"),
    "hidden-digits": Asked("search on", "search", "A learner without a memory"),
    "signposts": Asked("plan", "plan", "A learner with a discount of 0"),
    "digit-sums": Asked("join", "join", "A learner with a discount of 0, or with a single look"),
}
"""By task, in the order of the page."""

_INTRODUCTION = """\
# The built-in tasks

Four tasks with the same spaces. Each asks for something else of a policy, and shows it by what
fails there. Levels are `easy`, `default` and `hard`, an argument:
`gym.make("GlanceFocusSignposts-v0", level="easy")`. Ids with `Grid` have `Discrete` actions, the
patches of a grid; the others have `Box(-1, 1, (2,))`. T counts the glance. `gf-env tasks` wrote
this page, measured what is in [`tasks/claims.json`](tasks/claims.json) and took the scores from the
reports in [`results/`](results). Intervals are 95% bootstrap intervals over seeds.
"""


def make_page(docs: Path) -> str:
    """Return the page's text.

    Args:
        docs: folder with `tasks/claims.json` and the benchmark's `results/SUITE/report.json`.

    Raises:
        OSError: a file is not there.
    """
    claims = json.loads((docs / "tasks" / "claims.json").read_text())
    scores = _report(docs, "tasks")
    parts = [_INTRODUCTION, *_overview(scores)]
    for name, task in BUILTIN_TASKS.items():
        parts += _section(task, claims["tasks"][name], scores, _report(docs, ASKED[name].suite))
    return "\n".join(parts)


def _overview(scores: Mapping[str, Any]) -> Iterator[str]:
    yield "| task | asks for | ids | T (easy, default, hard) | 0% (random) | 100% (beam search) |"
    yield "| --- | --- | --- | --- | ---: | ---: |"
    for task, setting in zip(BUILTIN_TASKS.values(), scores["settings"], strict=True):
        ends = [_line(setting, scores[end])["mean_return"]["estimate"] for end in _ENDS]
        lengths = ", ".join(map(str, task.sequence_lengths))
        yield (
            f"| [{task.name}](#{task.name}) | {ASKED[task.name].word} | `{task.id_stem}-v0`, "
            f"`{task.id_stem}Grid-v0` | {lengths} | {_short(ends[0])} | {_short(ends[1])} |"
        )
    yield "\nThe last two columns are returns at the default level, gains of confidence summed.\n"
    yield "![Scores on all tasks](results/tasks/scores.png)\n"


_ENDS = ("random", "oracle")


def _section(
    task: BuiltinTask, claims: list[dict[str, Any]], scores: Mapping[str, Any], control: Any
) -> Iterator[str]:
    """Yield the parts of a task's section."""
    yield f"## {task.name}\n"
    yield _description(task) + "\n"
    yield f"![Scenes and their glances](tasks/{task.name}.png)\n"
    yield f"![An episode of the planner](tasks/{task.name}.gif)\n"
    yield from _levels(task)
    yield from _claims(claims)
    number = list(BUILTIN_TASKS).index(task.name)
    yield from _scores(scores["settings"][number])
    yield from _control(task, control)


def _description(task: BuiltinTask) -> str:
    """Return what the file of scenes says before its card, without its first words."""
    module = importlib.import_module(f"gf_env.datasets.scenes.{task.name.replace('-', '_')}")
    text = str(module.__doc__).split("## Card")[0].strip()
    return text[0].upper() + text[1:]


def _levels(task: BuiltinTask) -> Iterator[str]:
    yield "| level | scenes | objects | tell the label | distractors | T | grid | network |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"
    for level in LEVELS:
        played = task.at(level)
        kind = SCENES[played.dataset]
        size, colour = kind.spec.image_size, "RGB" if kind.spec.channels == 3 else "grey"
        yield (
            f"| {level} | {size} x {size}, {colour} | {kind.num_objects} | {kind.num_needed} | "
            f"{getattr(kind, 'num_distractors', 0)} | "
            f"{played.sequence_length} | {played.grid_size} x {played.grid_size} | "
            f"`{played.network}` |"
        )
    yield ""


def _claims(claims: list[dict[str, Any]]) -> Iterator[str]:
    yield "| measured on test scenes of the default level | value | claimed |"
    yield "| --- | ---: | --- |"
    for claim in claims:
        yield f"| {claim['text']} | {_short(claim['value'])} | {_bounds(claim)} |"
    yield ""


def _bounds(claim: Mapping[str, Any]) -> str:
    least, most = claim["least"], claim["most"]
    if least is not None and most is not None:
        return f"{least:g} to {most:g}"
    if least is not None:
        return f"at least {least:g}"
    return "" if most is None else f"at most {most:g}"


def _scores(setting: Mapping[str, Any]) -> Iterator[str]:
    lines = [line for line in setting["lines"] if line["accuracy"]]
    yield "| policy | kind | seeds | accuracy at the end | return | gap |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for line in sorted(lines, key=lambda line: -line["mean_return"]["estimate"]):
        yield (
            f"| {line['name']} | {line['kind']} | {len(line['seeds'])} | "
            f"{_interval(line['accuracy'][-1])} | {_interval(line['mean_return'])} | "
            f"{_interval(line['gap'])} |"
        )
    yield ""


def _control(task: BuiltinTask, report: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"**{ASKED[task.name].control}** does worse "
        f"([report](results/{ASKED[task.name].suite}/report.md)). "
        f"{report['description']}\n"
    )
    yield "| what is taken away | learner | without it | return more, 95% interval |"
    yield "| --- | --- | --- | ---: |"
    for setting in report["settings"]:
        for each in setting["differences"]:
            more = _interval(each["mean_return"], sign="+")
            ends = [_interval(_line(setting, each[side])["mean_return"]) for side in _SIDES]
            yield (
                f"| {each['name']} | {each['ours']}: {ends[0]} | {each['theirs']}: {ends[1]} | "
                f"{more} |"
            )
    yield ""


_SIDES = ("ours", "theirs")


def _line(setting: Mapping[str, Any], name: str) -> dict[str, Any]:
    line: dict[str, Any]
    (line,) = (line for line in setting["lines"] if line["name"] == name)
    return line


def _interval(interval: Mapping[str, Any] | None, sign: str = "") -> str:
    if interval is None:
        return ""
    text = _short(interval["estimate"], sign)
    if interval["low"] is None:
        return text
    return f"{text} [{_short(interval['low'], sign)}, {_short(interval['high'], sign)}]"


def _short(value: float, sign: str = "") -> str:
    return f"{round(value, 3) + 0.0:{sign}.3f}"


def _report(docs: Path, suite: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((docs / "results" / suite / "report.json").read_text())
    return report
