"""Measures servers that authenticate clients by certificate, side by side. Called by scripts/bench, which prepares what it needs.

Owns: the options, which servers there are and what each of them does, and the order of a run. bench_lib does the rest;
bench-results/README.md explains each choice.
"""

import argparse
import datetime
import os
import shutil
import sys
from pathlib import Path

from bench_lib import LARGE_BYTES, bothways, checks, machine, pki, rounds
from bench_lib.clients import idle_connection_bytes
from bench_lib.load import WORKS
from bench_lib.machine import LOAD_CORE
from bench_lib.peers import PEERS, STAND_INS
from bench_lib.results import Run
from bench_lib.server import end_in_order

REPOSITORY = Path(__file__).resolve().parent.parent
GALLERY = REPOSITORY / "config/functions"
LOOK_UP = """
[[key_value_stores]]
name = "revoked"
import = "revoked.json"
[[connection_functions]]
name = "deny-revoked"
code = "deny-revoked.js"
key_value_store = "revoked"
"""
REWRITE = """
[[functions]]
name = "rewrite"
code = "rewrite.js"
"""
# Bothways in other settings, to be named with --servers: what they cost is shown in a table of its own.
NO_MEMO = "[limits]\nverdicts_per_core = 0"
SETTINGS = {
    "bothways": lambda: bothways.Settings(),
    # Records are made, queued and encoded as ever, for which the server has no switch: only the file is missing.
    "bothways-no-log-file": lambda: bothways.Settings(records="/dev/null"),
    "bothways-no-memo": lambda: bothways.Settings(tables=NO_MEMO),
    "bothways-1M": lambda: bothways.Settings(revocations=(bothways.serial_list(1_000_000),)),
    "bothways-1M-no-memo": lambda: bothways.Settings(tables=NO_MEMO, revocations=(bothways.serial_list(1_000_000),)),
    "bothways-10M": lambda: bothways.Settings(revocations=(bothways.serial_list(10_000_000),)),
    "bothways-10M-no-memo": lambda: bothways.Settings(tables=NO_MEMO, revocations=(bothways.serial_list(10_000_000),)),
    "bothways-connection-function": lambda: bothways.Settings(tables=LOOK_UP, viewer_mtls=', connection_function = "deny-revoked"'),
    "bothways-viewer-function": lambda: bothways.Settings(tables=REWRITE, behavior=', function_associations = { viewer_request = "rewrite" }'),
}
ONLY = {  # what a setting can make a difference to
    "bothways-no-memo": ("handshake", "handshake-rsa", "handshake-ml-kem"),
    "bothways-no-log-file": ("handshake", "resumed", "keep-alive"),
}
DEFAULT = ["bothways", "hyper", "pingora", "envoy", "haproxy", "nginx", "bothways-no-memo", "bothways-no-log-file"]
FULL = {"rounds": 5, "seconds": 3.0, "warm_up": 1.0, "idle": 1000, "attempts": 3, "patience": 900.0}
QUICK = {"rounds": 2, "seconds": 0.4, "warm_up": 0.1, "idle": 200, "attempts": 2, "patience": 30.0}
OVERHEAD_SECONDS = 0.6  # of a measurement: looking for quiet, starting the generator twice, its handshakes
CHECK_SECONDS = 2  # of each server
IDLE_SECONDS = 0.004  # of each connection that is held open


def main():
    options = parse_arguments()
    if options.needs:
        print(" ".join(name for name in options.servers if name in PEERS))
        return
    end_in_order()
    os.chdir(options.work)
    os.sched_setaffinity(0, {LOAD_CORE})  # this script, too, keeps off the server's core
    pki.make()
    Path("large").write_text("x" * LARGE_BYTES)
    servers = {name: make(options, name) for name in options.servers if any(work in ONLY.get(name, WORKS) for work in options.works)}
    duties = assign(options, servers)
    everyone = {server.name: server for server in (*servers.values(), *(server for _, _, server in duties))}
    say_how_long(options, len(duties), len(everyone))
    try:
        passed = {name: admit(options, server, duties) for name, server in everyone.items()}
        columns, beside = ([name for name in servers if is_column(name) == wanted] for wanted in (True, False))
        memory = {name: idle_connection_bytes(servers[name], options.idle) for name in columns}
        rows = rounds.measure(options, plan(options, duties))
    finally:
        for server in everyone.values():
            server.stop()
    missing = {(name, work): server.missing[work] for work, name, server in duties if work in server.missing}
    Run(options, everyone, columns, beside, rows, memory, passed, missing).write()


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures Bothways and other servers side by side.")
    parser.add_argument("--quick", action="store_true", help="a first look in about two minutes; its numbers are no result")
    parser.add_argument("--servers", type=listed, default=DEFAULT, help=f"any of {','.join([*SETTINGS, *PEERS])}; default {','.join(DEFAULT)}")
    parser.add_argument("--build", type=build, action="append", default=[], metavar="NAME=FOLDER", help="measure the bothways of another folder beside it, as NAME; may be repeated")
    parser.add_argument("--works", type=listed, default=list(WORKS), help=f"any of {','.join(WORKS)}; default: all")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--warm-up", type=float, help="seconds before each measurement")
    parser.add_argument("--attempts", type=int, help="at a measurement that something else disturbs")
    parser.add_argument("--idle", type=int, help="connections held open for the memory of one")
    parser.add_argument("--patience", type=float, help="seconds to wait, all in all, until others leave both cores alone")
    parser.add_argument("--topic", default="peers", help="end of the result folder's name")
    parser.add_argument("--results", type=Path, help="where that folder is to be (default: bench-results, with --quick target/bench)")
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)  # print the peers that are to be prepared, and no more
    for name in ("work", "binaries", "yardsticks", "envoy"):  # from scripts/bench: where it has put what it prepared
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    check_names(parser, "--servers", options.servers, [*SETTINGS, *PEERS])
    options.builds = dict(options.build)
    check_builds(parser, options.builds)
    options.servers = [*options.servers, *options.builds]
    check_names(parser, "--works", options.works, WORKS)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    results = (options.results or REPOSITORY / ("target/bench" if options.quick else "bench-results")).resolve()
    options.folder = results / f"{datetime.date.today()}-{options.topic}"
    if options.folder.exists() and not options.quick:
        parser.error(f"--topic: {options.folder} exists, and results are kept: choose another one")
    if not options.needs and options.work is None:
        parser.error("run scripts/bench, which prepares what this needs")
    options.repository = REPOSITORY
    options.commit = machine.first_line(["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"])
    options.command = os.environ.get("BENCH_COMMAND", "scripts/bench")
    return options


def listed(text):
    return text.split(",")


def build(text):
    name, _, folder = text.partition("=")
    return name, Path(folder).resolve()


def check_builds(parser, builds):
    for name, folder in builds.items():
        if name in (*SETTINGS, *PEERS) or not (folder / "bothways").is_file():
            parser.error(f"--build: {name}={folder}: a name that is not taken, and a folder with bothways in it, are wanted")


def check_names(parser, option, names, known):
    for name in names:
        if name not in known:
            parser.error(f"{option}: {name!r} is none of {', '.join(known)}")


def make(options, name):
    if name in PEERS:
        return PEERS[name](options)
    if name in options.builds:
        return bothways.make(options.builds[name], name)
    if name == "bothways-connection-function":
        bothways.store_file("revoked.json")
    if name.endswith("-function"):
        for example in ("deny-revoked.js", "rewrite.js"):
            shutil.copy(GALLERY / example, example)
    return bothways.make(options.binaries, name, SETTINGS[name]())


def is_column(name):
    return name in PEERS or name == "bothways"


def assign(options, servers):
    """(work, column, server): who does what, and in which column it stands."""
    stand_ins = {place: make_one(options) for place, make_one in STAND_INS.items() if place[0] in servers and place[1] in options.works}
    return [
        (work, name, stand_ins.get((name, work), server))
        for work in options.works
        for name, server in servers.items()
        if work in ONLY.get(name, WORKS)
    ]


def admit(options, server, duties):
    """Starts the server and has it show that it authenticates clients, and what it can do of its duties."""
    server.start()
    passed = checks.authenticates(server)
    works = [WORKS[work] for work, _, doer in duties if doer is server]
    if any(work.path == "/large" for work in works):
        checks.large_answer(server)
    checks.try_works(options.binaries, server, works)
    print(f"{server.name}: {server.version}; {passed.admitted} good clients admitted, {passed.refused} others refused", flush=True)
    for work, why in ((work.name, server.missing[work.name]) for work in works if work.name in server.missing):
        if server.name in SETTINGS:
            sys.exit(f"error: {server.name} cannot do {work}: {why}")
        print(f"{server.name}: without {work}: {why}", flush=True)
    return passed


def plan(options, duties):
    """For each work those that can do it."""
    for work in options.works:
        yield WORKS[work], [(name, server) for duty, name, server in duties if duty == work and work not in server.missing]


def say_how_long(options, duties, servers):
    measurements = options.rounds * duties
    seconds = measurements * (options.seconds + options.warm_up + OVERHEAD_SECONDS) + servers * (CHECK_SECONDS + options.idle * IDLE_SECONDS)
    minutes = f"about {max(1, round(seconds / 60))} minutes"
    print(f"bench: {measurements} measurements, {minutes}; up to {options.patience / 60:g} more, and repeated ones, where something else is at work", flush=True)


if __name__ == "__main__":
    main()
