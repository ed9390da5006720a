#!/usr/bin/env python3
"""Measures what functions do to a server: scripts/bench-functions.py --binaries target/release [OPTION...]

Three experiments with a release build of Bothways, on loopback; the results go to bench-results/DATE-TOPIC/ as JSON and a table. (What a
function adds to a handshake or a request is measured by scripts/bench, with the servers bothways-connection-function and
bothways-viewer-function.)
- good clients' throughput and latency while others, one connection in ten, run into the time limit of the connection function;
- a key put into a store of 5 MB: time to the answer, and connections that were admitted after it, on all cores;
- memory of a function on each core.
"""

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench_lib import LARGE_BYTES, bothways, clients, load, pki
from bench_lib.load import WORKS
from bench_lib.server import end_in_order

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


def main():
    options = parse_arguments()
    folder = options.results / f"{datetime.date.today()}-{options.topic}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        end_in_order()
        os.chdir(work)
        pki.make()
        Path("large").write_text("x" * LARGE_BYTES)
        bothways.store_file("serials.json")
        result = {"slow": slow_neighbours(options), "put": puts(options), "memory": memory(options)}
    (folder / "functions.json").write_text(json.dumps(result, indent=1) + "\n")
    table = summary(options, result)
    (folder / "functions.md").write_text(table)
    print(f"\n{table}\nbench-functions: results in {folder}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=Path, required=True, help="folder of the built bothways and loadgen")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--puts", type=int, default=200)
    parser.add_argument("--functions", type=int, default=40, help="for the memory of one")
    parser.add_argument("--topic", default="functions")
    parser.add_argument("--results", type=Path, default=Path(__file__).resolve().parent.parent / "bench-results")
    options = parser.parse_args()
    options.binaries = options.binaries.resolve()
    options.results = options.results.resolve()
    return options


def serving(options, code, cores="[0]", functions=1):
    """Bothways with so many functions of this code, the first of them the distribution's; its other threads run where the kernel puts them."""
    Path("f.js").write_text(code)
    tables = CONTROL + STORE + "".join(FUNCTION.format(number=number) for number in range(functions))
    settings = bothways.Settings(cores=cores, tables=tables, viewer_mtls=', connection_function = "f0"')
    return bothways.make(options.binaries, settings=settings, pinned=False)


def begin(options, server, client, *arguments, connections):
    work = replace(WORKS["handshake"], client=client, connections=connections)
    return load.begin(options.binaries, server, work, seconds=options.seconds, more=("--warm-up", "500ms", *arguments), name=client)


def slow_neighbours(options):
    """Good clients in a closed loop; beside them, in every second run, a ninth as many that never come to an end."""
    rows = []
    with serving(options, SLOW % colon_hex(pki.serial("revoked"))) as server:
        for number in range(options.rounds):
            alone = beside_slow(options, server, number, 0)
            # Until good ones are nine times as many as the bad ones: their rate follows from what is left of the core.
            rate = 1 / (9 / alone["good_per_s"] + 0.005 + 1 / alone["good_per_s"])
            rows += [alone, beside_slow(options, server, number, rate)]
    return rows


def beside_slow(options, server, number, rate):
    good = begin(options, server, "client", connections=16)
    bad = begin(options, server, "revoked", "--expect", "refused", "--rate", f"{rate:.0f}", connections=16) if rate else None
    report = good.report()
    row = {"round": number + 1, "slow_per_s": round(rate), "good_per_s": round(report.operations / options.seconds), "failed": report.errors}
    row |= {"p50": report.p50_us, "p99": report.p99_us, "max": report.max_us}
    if bad:
        row["slow_refused"] = bad.report().operations
    print(row, flush=True)
    return row


def colon_hex(digits):
    """A serial number as functions see it: octets of a DER integer, so that one with its top bit set has a zero before it."""
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
    row = {"puts": len(times), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1), "connections_after": 8 * len(times), "admitted_after": late}
    print(row, flush=True)
    return row


def memory(options):
    sizes = {}
    for functions in (1, options.functions):
        with serving(options, LOOK_UP, functions=functions) as server:
            server.wait_for(" ready ", 0)
            sizes[functions] = server.resident_bytes()
    row = {"functions": options.functions, "bytes_each": round((sizes[options.functions] - sizes[1]) / (options.functions - 1))}
    print(row, flush=True)
    return row


def summary(options, result):
    lines = ["# Functions", "", "## Neighbours that run into the time limit of 5 ms", "", "| round | slow/s | good/s | p50 ms | p99 ms | max ms | failed |", "|---|---|---|---|---|---|---|"]
    for row in result["slow"]:
        times = " | ".join(f"{row[name] / 1000:.2f}" for name in ("p50", "p99", "max"))
        lines.append(f"| {row['round']} | {row['slow_per_s']} | {row['good_per_s']} | {times} | {row['failed']} |")
    medians = [statistics.median(row["good_per_s"] for row in result["slow"] if bool(row["slow_per_s"]) == slow) for slow in (False, True)]
    lines += ["", f"Median of the good: {medians[0]:.0f}/s alone, {medians[1]:.0f}/s beside the slow.", ""]
    put, memory = result["put"], result["memory"]
    lines += ["## A key put into a store of 5 MB", "", f"{put['puts']} puts by `bothways kvs put`, from the start of the command to its end: p50 {put['p50_ms']} ms, p99 {put['p99_ms']} ms, longest {put['max_ms']} ms."]
    lines += [f"Of {put['connections_after']} connections made after the commands' ends, to all cores, {put['admitted_after']} were decided by the old contents.", ""]
    lines += ["## Memory", "", f"{memory['bytes_each'] / 1000:.0f} KB for each function on each core (proportional set size, {memory['functions']} functions against one)."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
