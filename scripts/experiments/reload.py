"""Measures what a reload costs, and how fast it acts.

Two experiments with a release build of Bothways, on loopback:
- latency of full handshakes at a fixed rate, in turns quiet and with a SIGHUP every few seconds while a list
  of a million serials is in force (--changing: that list has changed before each SIGHUP);
- many open connections, half of them of a client that is then revoked: time from SIGHUP to the last of its
  closes, and who else was closed.
"""

import json
import selectors
import statistics
import threading
import time
from dataclasses import replace
from pathlib import Path

from bench_lib import bothways, clients, load, pki
from bench_lib.load import WORKS
from bench_lib.table import milliseconds, table

TOPIC = "reload"
REVOKED = Path("revoked.txt")
PUBLISHED = "reload published"
CLOSE_SECONDS_MAX = 30
LIMITS = """
[limits]
idle_timeout_ms = 600000
"""


def add_options(parser):
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of each latency measurement")
    parser.add_argument("--rate", type=int, default=1200, help="full handshakes a second")
    parser.add_argument("--every", type=float, default=2.5, help="seconds between reloads")
    parser.add_argument("--serials", type=int, default=1_000_000)
    parser.add_argument("--changing", action="store_true", help="change the list before each reload")
    parser.add_argument("--connections", type=int, default=10_000)


def run(options):
    pki.make()
    REVOKED.touch()
    with serving(options) as server:
        latency = under_reload(options, server)
        closing = [time_to_close(options, server) for _ in range(options.rounds)]
    asked = {name: getattr(options, name) for name in ("seconds", "rate", "serials", "changing")}
    options.folder.mkdir(parents=True)
    found = json.dumps({**asked, "latency": latency, "closing": closing}, indent=1)
    (options.folder / "reload.json").write_text(found + "\n")
    text = "\n".join(summary(options, latency, closing)) + "\n"
    (options.folder / "reload.md").write_text(text)
    print(f"\n{text}\nbench: results in {options.folder}")


def serving(options):
    """Bothways on core 0 of this machine; its other threads run where the kernel puts them."""
    lists = (REVOKED, bothways.serial_list(options.serials))
    settings = bothways.Settings(tables=LIMITS, revocations=lists)
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
        for serial in pki.unused_serials(1_000_000):
            if not reloading or over.wait(options.every):
                return
            if options.changing:
                REVOKED.write_text(f"{serial}\n")
            server.hang_up()

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        work = replace(WORKS["handshake"], connections=64)
        more = ("--rate", str(options.rate), "--warm-up", "1s")
        return load.begin(options.binaries, server, work, seconds=options.seconds, more=more).report()
    finally:
        over.set()
        thread.join()


def time_to_close(options, server):
    """Half of the connections belong to a client that is then revoked."""
    REVOKED.write_text("")
    published = server.said(PUBLISHED)
    server.hang_up()
    server.wait_for(PUBLISHED, published)
    half = range(options.connections // 2)
    revoked, others = ([clients.connect(server.port, who) for _ in half] for who in ("revoked", "client"))
    REVOKED.write_text(pki.serial("revoked") + "\n")
    closed, wrong, left = closes(server, revoked, others)
    alive = sum(clients.answers(connection) for connection in others)
    for connection in revoked + others:
        connection.close()
    row = {
        "revoked": len(revoked),
        "closed": len(revoked) - left,
        "others": len(others),
        "others_alive": alive,
        "others_closed": wrong,
    }
    row |= {
        "first_ms": round(min(closed) * 1000),
        "median_ms": round(statistics.median(closed) * 1000),
        "last_ms": round(max(closed) * 1000),
    }
    print(row, flush=True)
    return row


def closes(server, revoked, others):
    """After a SIGHUP: when each close was seen, how many should not have been, and how many are missing."""
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
        log = server.log.read_text()
        raise SystemExit(f"error: nothing was closed within {CLOSE_SECONDS_MAX} s of the SIGHUP:\n{log}")
    return closed, wrong, len(wanted)


def summary(options, latency, closing):
    serials = f"{options.serials:,} serials" + (", changed each time" if options.changing else ", unchanged")
    quiet, busy = (median_p99(latency, reloading) for reloading in (False, True))
    latency_columns = {
        "round": "round",
        "reloads": "reloads",
        "p50 ms": milliseconds("p50"),
        "p99 ms": milliseconds("p99"),
        "max ms": milliseconds("max"),
        "failed": lambda row: f"{row['failed']} of {row['operations'] + row['failed']}",
        "server CPU s": "server_cpu_s",
    }
    closing_columns = {
        "open connections": lambda row: row["revoked"] + row["others"],
        "of the revoked client": "revoked",
        "closed": "closed",
        "first ms": "first_ms",
        "median ms": "median_ms",
        "last ms": "last_ms",
        "others still served": lambda row: f"{row['others_alive']} of {row['others']}",
    }
    return [
        "# Reload",
        "",
        f"{options.rate} full handshakes a second for {options.seconds:g} s, open loop; "
        f"a reload each {options.every:g} s with a list of {serials}.",
        "",
        *table(latency_columns, latency),
        "",
        f"Median p99: {quiet / 1000:.2f} ms quiet, {busy / 1000:.2f} ms with reloads: "
        f"{busy / quiet:.2f} times.",
        "",
        *table(closing_columns, closing),
        "",
        f"Commit {options.commit}, made by `{options.command}`.",
    ]


def median_p99(latency, reloading):
    return statistics.median(row["p99"] for row in latency if bool(row["reloads"]) == reloading)
