"""Counts the instructions that one operation takes in the server, and compares them with a budget. Called by scripts/bench --instructions.

The release build runs under valgrind's callgrind, on epoll (valgrind knows no io_uring), and loadgen asks for so many operations and then for
three times as many: the difference, divided, is what one costs, without start, connection set-up or what happens in between. Such a count
does not depend on what else the machine does, so it can be checked anywhere; but it leaves out the kernel, and it is no time.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

from bench_lib import LARGE_BYTES, bothways, load, pki
from bench_lib.load import WORKS
from bench_lib.machine import first_line
from bench_lib.server import end_in_order

BUDGET = Path(__file__).resolve().parent.parent / "bench-results/instructions.toml"
OPERATIONS = {"handshake": 100, "handshake-rsa": 100, "resumed": 100, "keep-alive": 1000, "h2": 2000, "large": 50}
REPEATS = 3
HOW_TO_FIND = "run both versions under valgrind --tool=callgrind with driver = \"epoll\", and compare what callgrind_annotate says of them"
HEAD = """# What one operation may cost: user-space instructions of the server, as `scripts/bench --instructions` counts them (scripts/test does).
# More than `tolerance` above is a failure; who has a reason for it says so in the commit, and takes the new counts with
# `scripts/bench --instructions --update`. They depend on the processor's architecture and, by a few per cent, on the compiler.
"""


def main():
    options = parse_arguments()
    end_in_order()
    os.chdir(options.work)
    pki.make()
    Path("large").write_text("x" * LARGE_BYTES)
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


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench --instructions", description="Counts the instructions of one operation; exit status 1 where one is over its budget.")
    parser.add_argument("--update", action="store_true", help=f"write the budget, {BUDGET.name}, from what is counted")
    parser.add_argument("--works", type=lambda text: text.split(","), default=list(OPERATIONS), help=f"any of {','.join(OPERATIONS)}; default: all")
    for name in ("work", "binaries"):
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for work in options.works:
        if work not in OPERATIONS:
            parser.error(f"--works: {work!r} is none of {', '.join(OPERATIONS)}")
    return options


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
        sys.exit(f"error: {work.name}: {report.operations} of {operations} operations succeeded: {report.complaint}")
    before = set(Path().glob("counts.*"))
    result = subprocess.run(["vgdb", f"--pid={server.process.pid}", "dump"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    written = set(Path().glob("counts.*")) - before
    for line in (line for path in written for line in path.read_text().splitlines()):
        if line.startswith("totals:"):
            return int(line.split()[1])
    sys.exit(f"error: vgdb had no counts written: {result.stdout} {result.stderr}")


def budget_text(counts):
    """The file with these counts in it; those of other architectures, and of works that were not counted, stay."""
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
    print(f"bench: {len(over)} of {len(counts)} over their budget by more than {tolerance:.0%} ({first_line(['rustc', '--version'])})")
    if over:
        print(f"Where there is a reason, say it in the commit, with what scripts/bench --instructions --update writes. Without one, find what was added:\n{HOW_TO_FIND}")
    return 1 if over else 0


def is_over(work, value, allowed, tolerance):
    if allowed is None:
        print(f"{work:16}{value:14,}{'none':>14}           has no budget yet: --update gives it one")
        return True
    change = value / allowed - 1
    remark = "  too many" if change > tolerance else "  lower: --update keeps it there" if change < -tolerance else ""
    print(f"{work:16}{value:14,}{allowed:14,}{change:9.1%}{remark}")
    return change > tolerance


if __name__ == "__main__":
    main()
