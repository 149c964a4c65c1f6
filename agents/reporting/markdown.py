"""Tables as Markdown."""

from collections.abc import Collection, Iterable, Iterator, Sequence


def markdown_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], texts: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of a table.

    Args:
        columns: their names.
        rows: cells, as many as there are columns.
        texts: columns of words; the others hold numbers and stand to the right.
    """
    yield _row(columns)
    yield _row(["---" if column in texts else "---:" for column in columns])
    yield from map(_row, rows)


def escape(text: str) -> str:
    """Keep what a table or a line would take for its own."""
    return " ".join(text.replace("|", r"\|").split())


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape, cells))} |"
