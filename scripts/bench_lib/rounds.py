"""The rounds: servers take turns at each work, disturbed measurements are repeated, and every one is kept.

A measured value is CPU time of the server's processes per operation. Owns the rows of raw.csv and which of
them count.
"""

import resource
import statistics
import time

from . import load
from .machine import LOAD_CORE, OTHERS_MAX, SAMPLE_SECONDS, SERVER_CORE, CoreTimes, wait_for_quiet

COLUMNS = [
    "round",
    "work",
    "server",
    "attempt",
    "waited_s",
    "seconds",
    "operations",
    "errors",
    "ops_per_s",
    "server_us_per_op",
    "load_us_per_op",
] + ["others_share", "load_others_share", "stolen_share", "p50_us", "p99_us"]
SHOWN = [
    "round",
    "work",
    "server",
    "attempt",
    "server_us_per_op",
    "ops_per_s",
    "others_share",
    "load_others_share",
    "stolen_share",
    "errors",
]


class Patience:
    """How long a run waits, all in all, for others to leave the machine alone.

    When it is used up, measurements are not repeated either.
    """

    def __init__(self, seconds):
        self.left = seconds
        self.once = seconds / 8

    def wait(self):
        """Waits for quiet, a part of what is left at most, and gives the seconds that it took."""
        waited = wait_for_quiet(max(min(self.left, self.once), SAMPLE_SECONDS))
        self.left -= max(0.0, waited - 2 * SAMPLE_SECONDS)  # a look or two are no wait
        return waited

    @property
    def used_up(self):
        return self.left < 3 * SAMPLE_SECONDS


def measure(options, plan):
    """`plan` says for each work which servers do it, as (column, server).

    Every round begins with another one.
    """
    rows, plan, patience = [], list(plan), Patience(options.patience)
    for number in range(options.rounds):
        for work, doers in plan:
            shift = number % max(len(doers), 1)
            for column, server in doers[shift:] + doers[:shift]:
                rows += measure_until_quiet(options, patience, work, column, server, number + 1)
    if patience.used_up:
        print(
            f"bench: after {options.patience:g} s of waiting, measurements were taken "
            "whatever else was at work",
            flush=True,
        )
    return rows


def measure_until_quiet(options, patience, work, column, server, number):
    rows = []
    for attempt in range(1, options.attempts + 1):
        waited = patience.wait()
        row = {
            "round": number,
            "work": work.name,
            "server": column,
            "attempt": attempt,
            "waited_s": round(waited, 1),
        }
        row |= measure_once(options, work, server)
        rows.append(row)
        print("  ".join(f"{name} {row[name]}" for name in SHOWN), flush=True)
        if patience.used_up or (row["errors"] == 0 and disturbance(row) <= OTHERS_MAX):
            break
    return rows


def measure_once(options, work, server):
    load.run(options.binaries, server, work, seconds=options.warm_up)
    before = Reading(server)
    report = load.run(options.binaries, server, work, seconds=options.seconds)
    after = Reading(server)
    elapsed, operations = after.at - before.at, max(report.operations, 1)
    served, loaded = after.server - before.server, after.load - before.load
    (busy, stolen), (load_busy, load_stolen) = (
        late.since(early) for late, early in zip(after.cores, before.cores)
    )
    return {
        "seconds": round(elapsed, 3),
        "operations": report.operations,
        "errors": report.errors
        if report.operations
        else max(report.errors, 1),  # that nothing came to an end is an error
        "ops_per_s": round(report.operations / options.seconds, 1),
        "server_us_per_op": round(served / operations * 1e6, 3),
        "load_us_per_op": round(loaded / operations * 1e6, 3),
        "others_share": round(max(0.0, busy - served) / elapsed, 3),
        "load_others_share": round(max(0.0, load_busy - loaded) / elapsed, 3),
        "stolen_share": round((stolen + load_stolen) / elapsed, 3),
        "p50_us": report.p50_us,
        "p99_us": report.p99_us,
    }


class Reading:
    """All clocks at one moment.

    What this script itself does on the generator's core counts as the generator's.
    """

    def __init__(self, server):
        self.server = server.cpu_seconds()
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        self.load = sum(used.ru_utime + used.ru_stime for used in usage)
        self.cores = [CoreTimes(core) for core in (SERVER_CORE, LOAD_CORE)]
        self.at = time.monotonic()


def disturbance(row):
    """The share of the busier disturbed core that others had, and what the hypervisor took of either."""
    return max(row["others_share"], row["load_others_share"]) + row["stolen_share"]


def counted(rows):
    """Of repeated measurements the least disturbed one counts."""
    best = {}
    for row in rows:
        key = (row["round"], row["work"], row["server"])
        if key not in best or rank(row) < rank(best[key]):
            best[key] = row
    return list(best.values())


def rank(row):
    return (row["errors"], disturbance(row))


def spread(rows, work, column):
    """Median, lowest and highest CPU time per operation, and the median rate.

    None where there is no measurement.
    """
    same = [row for row in rows if (row["work"], row["server"]) == (work, column) and row["operations"]]
    if not same:
        return None
    values = [row["server_us_per_op"] for row in same]
    return (
        statistics.median(values),
        min(values),
        max(values),
        statistics.median(row["ops_per_s"] for row in same),
    )
