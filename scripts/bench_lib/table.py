"""Markdown tables, the one form in which results are shown."""


def table(columns, rows):
    """The lines of a table.

    `columns` maps a title to the cell below it: a key of the row, or a function that makes the cell from it.
    """
    cells = [[cell(row) if callable(cell) else row[cell] for cell in columns.values()] for row in rows]
    return [line(columns), line("---" for _ in columns), *map(line, cells)]


def line(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def milliseconds(key):
    """A cell of microseconds, shown as milliseconds."""
    return lambda row: f"{row[key] / 1000:.2f}"
