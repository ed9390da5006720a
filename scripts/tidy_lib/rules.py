"""Rules for single files: lengths, witnesses, tests, files and promises."""

import re

from .tree import CRATES, ROOT, complain, tracked

HERE = "scripts/tidy_lib/rules.py"
LINES_MAX = 500
SHIPPED = re.compile(r"server/(src|crates/[^/]+/src)/")
FILES = CRATES + "state/src/files.rs"  # the door to named files
WITNESS = "an independent witness links none of the server's code"
# path: why it may be longer
LONGER = {"server/crates/trust/src/policy_tests.rs": "one table of refusals, better read whole"}


def check_lengths():
    for path in tracked():
        if not (path.endswith((".rs", ".py", ".sh")) or path.startswith("scripts/")) or path.endswith(
            ".lock"
        ):
            continue
        lines = (ROOT / path).read_text().count("\n")
        if lines > LINES_MAX and path not in LONGER:
            complain(
                path, f"{lines} lines, more than {LINES_MAX}: split it, or say in {HERE} why it may be longer"
            )
    for path in LONGER:
        if not (ROOT / path).is_file():
            complain(HERE, f"{path} may be longer, but there is no such file")


def check_witnesses(sources):
    for source in sources:
        if source.path.startswith("server/") and not source.path.startswith("server/src/runtime/"):
            source.complain(r"\bmonoio\b", "only server/src/runtime/ may name monoio", source.code)
        if source.path.startswith(("loadgen/", "tests/")) and not source.path.startswith("tests/fuzz/"):
            source.complain(r"\bbothways::|\bextern crate bothways\b|\buse bothways\b", WITNESS)
    for manifest in ("loadgen/Cargo.toml", "tests/Cargo.toml"):
        if re.search(r"(?m)^bothways\b", (ROOT / manifest).read_text()):
            complain(manifest, WITNESS)


def check_source(source):
    source.complain(r"\b(todo|unimplemented|dbg)!", "unfinished code")
    source.complain(r"#\[ignore", "a test that never runs proves nothing")
    if source.is_test or source.shipped != source.code:
        tests = source.code if source.is_test else source.code[len(source.shipped) :]
        if re.search(r"\bsleep\s*\(", tests):
            complain(source.path, "a test that sleeps; wait for an event instead")
    if SHIPPED.match(source.path) and source.path != FILES and not source.is_test:
        source.complain(
            r"\bFile::(open|create|options)\b|\bfs::(read|read_to_string|write)\(|\bOpenOptions\b",
            f"{FILES} opens files: it never waits for one",
            source.shipped,
        )
    if re.match(r"(server|loadgen|tests)/", source.path) and not source.text.startswith(("//!", "#![")):
        complain(source.path, "begins without `//!` saying what it owns")


def check_promises(sources):
    """Every name that a promise is shown by is a test, or a script, that exists."""
    code = "\n".join(source.code for source in sources if source.is_test or source.shipped != source.code)
    functions = set(re.findall(r"\bfn (\w+)", code))
    functions |= set(re.findall(r'(?m)^    (\w+): "', code))  # one line of a table of tests
    promises = re.split(r"(?m)^- ", (ROOT / "PROMISES.md").read_text())[1:]
    if not promises:
        complain("PROMISES.md", "no list of promises")
    for promise in promises:
        said, _, shown_by = promise.partition("\n  Shown by ")
        names = re.findall(r"`([\w/.-]+)`", shown_by)
        if not names:
            complain("PROMISES.md", f"a promise without a witness: {said.strip()}")
        for name in names:
            if name not in functions and not (ROOT / name).exists():
                complain("PROMISES.md", f"the promises name `{name}`, which does not exist")


def check_secrets():
    for path in tracked():
        if path.endswith(".key"):
            complain(path, "a private key in the tree")
