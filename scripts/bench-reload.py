#!/usr/bin/env python3
"""Measures what a reload costs and how fast it acts: scripts/bench-reload.py --binaries target/release [OPTION...]

Two experiments with a release build of Bothways, on loopback; the results go to bench-results/DATE-TOPIC/ as JSON and a table:
- latency of full handshakes at a fixed rate, in turns quiet and with a SIGHUP each few seconds that loads a list of a million serials anew;
- many open connections, half of them of a client that is then revoked: time from SIGHUP to the last of its closes, and who else was closed.
"""

import argparse
import datetime
import json
import os
import selectors
import statistics
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from bench_lib import LARGE_BYTES, bothways, clients, load, pki
from bench_lib.load import WORKS
from bench_lib.server import end_in_order

REVOKED = Path("revoked.txt")
PUBLISHED = "reload published"
CLOSE_SECONDS_MAX = 30
LIMITS = """
[limits]
idle_timeout_ms = 600000
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
        REVOKED.touch()
        with serving(options) as server:
            latency = under_reload(options, server)
            closing = [time_to_close(options, server) for _ in range(options.rounds)]
    result = {"seconds": options.seconds, "rate": options.rate, "serials": options.serials, "latency": latency, "closing": closing}
    (folder / "reload.json").write_text(json.dumps(result, indent=1) + "\n")
    table = summary(options, latency, closing)
    (folder / "reload.md").write_text(table)
    print(f"\n{table}\nbench-reload: results in {folder}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=Path, required=True, help="folder of the built bothways and loadgen")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each latency measurement")
    parser.add_argument("--rate", type=int, default=1200, help="full handshakes a second")
    parser.add_argument("--every", type=float, default=2.5, help="seconds between reloads")
    parser.add_argument("--serials", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--topic", default="reload")
    parser.add_argument("--results", type=Path, default=Path(__file__).resolve().parent.parent / "bench-results")
    options = parser.parse_args()
    options.binaries = options.binaries.resolve()
    options.results = options.results.resolve()
    return options


def serving(options):
    """Bothways on core 0 of this machine; its other threads run where the kernel puts them."""
    settings = bothways.Settings(tables=LIMITS, revocations=(REVOKED, bothways.serial_list(options.serials)))
    return bothways.make(options.binaries, settings=settings, pinned=False)


def under_reload(options, server):
    rows = []
    for number in range(options.rounds):
        for reloading in (False, True):
            before, cpu = server.said(PUBLISHED), server.cpu_seconds()
            report = loaded(options, server, reloading)
            row = {
                "round": number + 1,
                "reloads": server.said(PUBLISHED) - before,
                "operations": report.operations,
                "failed": report.errors,
                "server_cpu_s": round(server.cpu_seconds() - cpu, 2),
                "p50": report.p50_us,
                "p99": report.p99_us,
                "max": report.max_us,
            }
            rows.append(row)
            print(row, flush=True)
    return rows


def loaded(options, server, reloading):
    over = threading.Event()

    def reload():
        while reloading and not over.wait(options.every):
            server.hang_up()

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        work = replace(WORKS["handshake"], connections=64)
        return load.begin(options.binaries, server, work, seconds=options.seconds, more=("--rate", str(options.rate), "--warm-up", "1s")).report()
    finally:
        over.set()
        thread.join()


def time_to_close(options, server):
    """Half of the connections belong to a client that is then revoked."""
    REVOKED.write_text("")
    published = server.said(PUBLISHED)
    server.hang_up()
    server.wait_for(PUBLISHED, published)
    revoked, others = ([clients.connect(server.port, who) for _ in range(options.connections // 2)] for who in ("revoked", "client"))
    REVOKED.write_text(pki.serial("revoked") + "\n")
    closed, wrong, left = closes(server, revoked, others)
    alive = sum(clients.answers(connection) for connection in others)
    for connection in revoked + others:
        connection.close()
    row = {"revoked": len(revoked), "closed": len(revoked) - left, "others": len(others), "others_alive": alive, "others_closed": wrong}
    row |= {"first_ms": round(min(closed) * 1000), "median_ms": round(statistics.median(closed) * 1000), "last_ms": round(max(closed) * 1000)}
    print(row, flush=True)
    return row


def closes(server, revoked, others):
    """After a SIGHUP: when each close was seen, how many were closed that should not be, and how many should be and were not."""
    selector = selectors.DefaultSelector()
    for connection in revoked + others:
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    wanted, closed, wrong = set(revoked), [], 0
    start = time.monotonic()
    server.hang_up()
    while wanted and time.monotonic() - start < CLOSE_SECONDS_MAX:
        for key, _ in selector.select(1):
            if clients.has_ended(key.fileobj):
                closed.append(time.monotonic() - start)
                wrong += key.fileobj not in wanted
                wanted.discard(key.fileobj)
                selector.unregister(key.fileobj)
    if not closed:
        raise SystemExit(f"error: nothing was closed within {CLOSE_SECONDS_MAX} s of the SIGHUP:\n{server.log.read_text()}")
    return closed, wrong, len(wanted)


def summary(options, latency, closing):
    lines = ["# Reload", "", f"{options.rate} full handshakes a second for {options.seconds:g} s, open loop; a reload each {options.every:g} s loads {options.serials:,} serials.", ""]
    lines += ["| round | reloads | p50 ms | p99 ms | max ms | failed | server CPU s |", "|---|---|---|---|---|---|---|"]
    for row in latency:
        times = " | ".join(f"{row[name] / 1000:.2f}" for name in ("p50", "p99", "max"))
        lines.append(f"| {row['round']} | {row['reloads']} | {times} | {row['failed']} of {row['operations'] + row['failed']} | {row['server_cpu_s']} |")
    medians = [statistics.median(row["p99"] for row in latency if bool(row["reloads"]) == busy) for busy in (False, True)]
    lines += ["", f"Median p99: {medians[0] / 1000:.2f} ms quiet, {medians[1] / 1000:.2f} ms with reloads: {medians[1] / medians[0]:.2f} times.", ""]
    lines += ["| open connections | of the revoked client | closed | first ms | median ms | last ms | others still served |", "|---|---|---|---|---|---|---|"]
    for row in closing:
        lines.append(f"| {row['revoked'] + row['others']} | {row['revoked']} | {row['closed']} | {row['first_ms']} | {row['median_ms']} | {row['last_ms']} | {row['others_alive']} of {row['others']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
