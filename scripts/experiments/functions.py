"""Measures what functions do to a server.

Three experiments with a release build of Bothways, on loopback:
- good clients' throughput and latency while others, one connection in ten, run into the time limit of the
  connection function;
- a key put into a store of 5 MB: time to the answer, and connections that were admitted after it, on all
  cores;
- memory of a function on each core.
What a function adds to a handshake or a request is measured by `scripts/bench peers`, with the servers
bothways-connection-function and bothways-viewer-function.
"""

import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench_lib import bothways, clients, load, pki
from bench_lib.load import WORKS
from bench_lib.table import milliseconds, table

TOPIC = "functions"
CONTROL = """
[control]
socket = "control.sock"
"""
STORE = """
[[key_value_stores]]
name = "serials"
import = "serials.json"
"""
FUNCTION = """
[[connection_functions]]
name = "f{number}"
code = "f.js"
key_value_store = "serials"
"""
LOOK_UP = """import cf from 'cloudfront';
const denied = cf.kvs();
async function connectionHandler(connection) {
    const serial = connection.clientCertificate.certificates.leaf.serialNumber.replaceAll(':', '');
    await denied.exists(serial) ? connection.deny() : connection.allow();
}
"""
SLOW = """function connectionHandler(connection) {
    while (connection.clientCertificate.certificates.leaf.serialNumber === '%s') {}
    connection.allow();
}
"""


def add_options(parser):
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--puts", type=int, default=200)
    parser.add_argument("--functions", type=int, default=40, help="for the memory of one")


def run(options):
    pki.make()
    bothways.store_file("serials.json")
    result = {"slow": slow_neighbours(options), "put": puts(options), "memory": memory(options)}
    options.folder.mkdir(parents=True)
    (options.folder / "functions.json").write_text(json.dumps(result, indent=1) + "\n")
    text = "\n".join(summary(options, result)) + "\n"
    (options.folder / "functions.md").write_text(text)
    print(f"\n{text}\nbench: results in {options.folder}")


def serving(options, code, cores="[0]", functions=1):
    """Bothways with so many functions of this code, the first of them the distribution's.

    Its other threads run where the kernel puts them.
    """
    Path("f.js").write_text(code)
    tables = CONTROL + STORE + "".join(FUNCTION.format(number=number) for number in range(functions))
    settings = bothways.Settings(cores=cores, tables=tables, viewer_mtls=', connection_function = "f0"')
    return bothways.make(options.binaries, settings=settings, pinned=False)


def begin(options, server, client, *arguments, connections):
    work = replace(WORKS["handshake"], client=client, connections=connections)
    more = ("--warm-up", "500ms", *arguments)
    return load.begin(options.binaries, server, work, seconds=options.seconds, more=more, name=client)


def slow_neighbours(options):
    """Good clients in a closed loop.

    In every second run, a ninth as many beside them never come to an end.
    """
    rows = []
    with serving(options, SLOW % colon_hex(pki.serial("revoked"))) as server:
        for number in range(options.rounds):
            alone = beside_slow(options, server, number, 0)
            # The rate at which good ones are nine times as many: it follows from what is left of the core.
            rate = 1 / (9 / alone["good_per_s"] + 0.005 + 1 / alone["good_per_s"])
            rows += [alone, beside_slow(options, server, number, rate)]
    return rows


def beside_slow(options, server, number, rate):
    good = begin(options, server, "client", connections=16)
    refused = ("--expect", "refused", "--rate", f"{rate:.0f}")
    bad = begin(options, server, "revoked", *refused, connections=16) if rate else None
    report = good.report()
    row = {
        "round": number + 1,
        "slow_per_s": round(rate),
        "good_per_s": round(report.operations / options.seconds),
        "failed": report.errors,
    }
    row |= {"p50": report.p50_us, "p99": report.p99_us, "max": report.max_us}
    if bad:
        row["slow_refused"] = bad.report().operations
    print(row, flush=True)
    return row


def colon_hex(digits):
    """A serial number as functions see it: the octets of a DER integer.

    If its top bit is set, a zero comes first.
    """
    digits = "00" + digits if int(digits[:2], 16) >= 0x80 else digits
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def puts(options):
    """Each put bars a client that is then tried on both cores, and a delete lets it in again."""
    key = colon_hex(pki.serial("client")).replace(":", "")
    times, late = [], 0
    with serving(options, LOOK_UP, cores='"all"') as server:
        if not clients.is_admitted(server.port):
            sys.exit("error: the client was not admitted")
        for _ in range(options.puts):
            start = time.monotonic()
            bothways.kvs(server, "put", "serials", key, "")
            times.append(time.monotonic() - start)
            late += sum(clients.is_admitted(server.port) for _ in range(8))
            bothways.kvs(server, "delete", "serials", key)
    times.sort()
    at = lambda share: round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 1)
    row = {
        "puts": len(times),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "max_ms": at(1),
        "connections_after": 8 * len(times),
        "admitted_after": late,
    }
    print(row, flush=True)
    return row


def memory(options):
    sizes = {}
    for functions in (1, options.functions):
        with serving(options, LOOK_UP, functions=functions) as server:
            server.wait_for(" ready ", 0)
            sizes[functions] = server.resident_bytes()
    row = {
        "functions": options.functions,
        "bytes_each": round((sizes[options.functions] - sizes[1]) / (options.functions - 1)),
    }
    print(row, flush=True)
    return row


def summary(options, result):
    columns = {
        "round": "round",
        "slow/s": "slow_per_s",
        "good/s": "good_per_s",
        "p50 ms": milliseconds("p50"),
        "p99 ms": milliseconds("p99"),
        "max ms": milliseconds("max"),
        "failed": "failed",
    }
    alone, beside = (median_rate(result["slow"], slow) for slow in (False, True))
    put, memory = result["put"], result["memory"]
    return [
        "# Functions",
        "",
        "## Neighbours that run into the time limit of 5 ms",
        "",
        *table(columns, result["slow"]),
        "",
        f"Median of the good: {alone:.0f}/s alone, {beside:.0f}/s beside the slow.",
        "",
        "## A key put into a store of 5 MB",
        "",
        f"{put['puts']} puts by `bothways kvs put`, from the start of the command to its end: "
        f"p50 {put['p50_ms']} ms, p99 {put['p99_ms']} ms, longest {put['max_ms']} ms.",
        f"Of {put['connections_after']} connections made after the commands' ends, to all cores, "
        f"{put['admitted_after']} were decided by the old contents.",
        "",
        "## Memory",
        "",
        f"{memory['bytes_each'] / 1000:.0f} KB for each function on each core "
        f"(proportional set size, {memory['functions']} functions against one).",
        "",
        f"Commit {options.commit}, made by `{options.command}`.",
    ]


def median_rate(rows, slow):
    return statistics.median(row["good_per_s"] for row in rows if bool(row["slow_per_s"]) == slow)
