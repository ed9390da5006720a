"""Counts the instructions that one operation takes in the server, and compares them with a budget.

The release build runs under valgrind's callgrind, on epoll (valgrind knows no io_uring). loadgen asks for so
many operations, and then for three times as many. The difference, divided, is what one costs, without start,
connection set-up or what happens in between. Such a count does not depend on what else the machine does, so
it can be checked anywhere; but it leaves out the kernel, and it is no time. Exit status 1: one is over its
budget.
"""

import platform
import statistics
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

from bench_lib import bothways, load, pki
from bench_lib.load import WORKS
from bench_lib.machine import first_line

TOPIC = None
BUDGET = Path(__file__).resolve().parent.parent.parent / "bench-results/instructions.toml"
OPERATIONS = {
    "handshake": 100,
    "handshake-rsa": 100,
    "resumed": 100,
    "keep-alive": 1000,
    "h2": 2000,
    "large": 50,
}
REPEATS = 3
HOW_TO_GO_ON = """\
Where there is a reason, say it in the commit, and add what `scripts/bench instructions --update` writes.
Without one, find what was added: run both versions under valgrind --tool=callgrind with driver = "epoll", and
compare what callgrind_annotate says of them."""
HEAD = """\
# What one operation may cost: user-space instructions of the server, as `scripts/bench instructions` counts
# them (scripts/test does). More than `tolerance` above is a failure. If there is a reason for it, say it in
# the commit, and take the new counts with `scripts/bench instructions --update`. The counts depend on the
# processor's architecture and, by a few per cent, on the compiler.
"""


def add_options(parser):
    update = f"write the budget, {BUDGET.name}, from what is counted"
    parser.add_argument("--update", action="store_true", help=update)
    works = f"any of {','.join(OPERATIONS)}; default: all"
    split = {"type": lambda text: text.split(","), "default": list(OPERATIONS)}
    parser.add_argument("--works", help=works, **split)


def check(parser, options):
    for work in options.works:
        if work not in OPERATIONS:
            parser.error(f"--works: {work!r} is none of {', '.join(OPERATIONS)}")


def run(options):
    pki.make()
    counts = {}
    with under_callgrind(options) as server:
        for work in options.works:
            counts[work] = instructions(options, server, work)
            print(f"{work}: {counts[work]:,}", flush=True)
    if options.update:
        BUDGET.write_text(budget_text(counts))
        print(f"bench: {len(counts)} budgets written to {BUDGET}")
    else:
        sys.exit(compare(counts))


def under_callgrind(options):
    server = bothways.make(options.binaries, settings=bothways.Settings(driver="epoll"))
    server.command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=counts", *server.command]
    return server


def instructions(options, server, work):
    """Of one operation: the median of a few counts. The first run fills memories, caches and pools."""
    asked = replace(WORKS[work], connections=1)
    few = OPERATIONS[work]
    count(options, server, asked, few)
    found = []
    for _ in range(REPEATS):
        less, more = (count(options, server, asked, operations) for operations in (few, 3 * few))
        found.append((more - less) / (2 * few))
    return round(statistics.median(found))


def count(options, server, work, operations):
    """All instructions since the last count, these operations among them."""
    report = load.run(options.binaries, server, work, requests=operations, more=("--timeout", "60s"))
    if report.errors or report.operations != operations:
        done = f"{report.operations} of {operations} operations succeeded"
        sys.exit(f"error: {work.name}: {done}: {report.complaint}")
    before = set(Path().glob("counts.*"))
    asked = ["vgdb", f"--pid={server.process.pid}", "dump"]
    result = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    written = set(Path().glob("counts.*")) - before
    for line in (line for path in written for line in path.read_text().splitlines()):
        if line.startswith("totals:"):
            return int(line.split()[1])
    sys.exit(f"error: vgdb had no counts written: {result.stdout} {result.stderr}")


def budget_text(counts):
    """The file with these counts in it. Counts of other architectures, and of other works, stay."""
    budget = read_budget()
    tolerance = budget.pop("tolerance", 0.05)
    budget[platform.machine()] = budget.get(platform.machine(), {}) | counts
    lines = [HEAD, f"tolerance = {tolerance}", ""]
    for architecture, works in budget.items():
        lines += [f"[{architecture}]", *(f"{work} = {value:_}" for work, value in works.items()), ""]
    return "\n".join(lines)


def read_budget():
    return tomllib.loads(BUDGET.read_text()) if BUDGET.exists() else {}


def compare(counts):
    """Prints each count beside its budget; the exit status."""
    budget = read_budget()
    tolerance, allowed = budget.get("tolerance", 0.0), budget.get(platform.machine())
    if allowed is None:
        print(f"bench: no budget for {platform.machine()} in {BUDGET}: counted, not compared")
        return 0
    print(f"\n{'operation':16}{'instructions':>14}{'budget':>14}{'change':>9}")
    over = [work for work, value in counts.items() if is_over(work, value, allowed.get(work), tolerance)]
    compiler = first_line(["rustc", "--version"])
    print(f"bench: {len(over)} of {len(counts)} over their budget by more than {tolerance:.0%} ({compiler})")
    if over:
        print(HOW_TO_GO_ON)
    return 1 if over else 0


def is_over(work, value, allowed, tolerance):
    if allowed is None:
        print(f"{work:16}{value:14,}{'none':>14}           has no budget yet: --update gives it one")
        return True
    change = value / allowed - 1
    remark = "  too many" if change > tolerance else ""
    if change < -tolerance:
        remark = "  lower: --update keeps it there"
    print(f"{work:16}{value:14,}{allowed:14,}{change:9.1%}{remark}")
    return change > tolerance
