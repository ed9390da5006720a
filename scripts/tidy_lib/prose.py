"""How the tree reads: openings of doc comments, columns, lengths of functions and files."""

import re

from .tree import ROOT, complain, tracked

COLUMNS_MAX = 110
FUNCTION_LINES_MAX = 70
CODE_LINES_MAX = 400
# A doc comment begins with a noun or a verb. These words begin a clause that has neither yet.
WEAK = """
    What Whatever Who Whoever Whose Where Wherever Whether Which When Why How If
    Of For From By As So Not Those That One
""".split()
OPENING = re.compile(r"\s*(//[/!]) (\w+)")
FUNCTION = re.compile(
    r"(\s*)(?:pub(?:\([a-z]+\))? )?(?:default |const |async |unsafe |extern \"C\" )*fn (\w+)"
)
RESULTS = "bench-results/20"  # runs as they were written down
WIDE = {"Cargo.lock", "tests/fuzz/Cargo.lock", "scripts/yardsticks/Cargo.lock"}


def check_openings(sources):
    for source in sources:
        before = ""
        for number, line in enumerate(source.text.splitlines(), 1):
            opening = OPENING.match(line)
            begins = opening and not before.startswith(opening.group(1))
            if begins and opening.group(2) in WEAK:
                word = opening.group(2)
                complain(
                    f"{source.path}:{number}", f"begin the doc comment with a noun or a verb, not {word!r}"
                )
            before = line.strip()


def check_columns():
    for path in tracked():
        if path in WIDE or path.startswith(RESULTS) or not is_text(path):
            continue
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1):
            if len(line) > COLUMNS_MAX and not may_be_wide(path, line):
                complain(f"{path}:{number}", f"{len(line)} columns, more than {COLUMNS_MAX}")


def is_text(path):
    return path.startswith("scripts/") or path.endswith(
        (".rs", ".md", ".toml", ".py", ".sh", ".js", ".service")
    )


def may_be_wide(path, line):
    """True for what has no other form: rows of tables, texts without a space, code that rustfmt left so."""
    text = line.strip()
    if path.endswith((".rs", ".toml", ".js")):
        return not text.startswith(("//", "#")) or " " not in text.strip("/!# ")
    return path.endswith(".md") and (text.startswith("|") or " " not in text)


def check_lengths(sources):
    for source in sources:
        if source.is_test:
            continue
        for name, start, lines in functions(source.shipped.splitlines()):
            if lines > FUNCTION_LINES_MAX:
                complain(
                    f"{source.path}:{start}", f"{name} has {lines} lines, more than {FUNCTION_LINES_MAX}"
                )
        code = sum(1 for line in source.shipped.splitlines() if line.strip())
        if code > CODE_LINES_MAX:
            complain(source.path, f"{code} lines of code, more than {CODE_LINES_MAX}")


def functions(lines):
    """(name, first line, length) of each function. rustfmt sets its last brace below its first letter."""
    for start, line in enumerate(lines):
        found = FUNCTION.match(line)
        if found is None or line.rstrip().endswith(("}", ";")):
            continue
        end = f"{found.group(1)}}}"
        length = next(
            (n for n, other in enumerate(lines[start:], 1) if other.rstrip() in (end, end + ",")), 1
        )
        yield found.group(2), start + 1, length
