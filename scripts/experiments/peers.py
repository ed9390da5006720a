"""Measures servers that authenticate clients by certificate, side by side, in one run.

Writes bench-results/DATE-TOPIC/: README.md, summary.md, raw.csv, plot.svg. bench-results/README.md explains
how it is measured, and why so. Needs two cores: one for the server, one for loadgen.
"""

import os
import shutil
import sys
from pathlib import Path

from bench_lib import bothways, checks, pki, rounds
from bench_lib.clients import idle_connection_bytes
from bench_lib.load import WORKS
from bench_lib.machine import LOAD_CORE
from bench_lib.peers import PEERS, STAND_INS
from bench_lib.results import Run

TOPIC = "peers"
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
NO_MEMO = "[limits]\nverdicts_per_core = 0"
ASKED = ', connection_function = "deny-revoked"'
REWRITTEN = ', function_associations = { viewer_request = "rewrite" }'


def revoked(count, **more):
    """Settings that are made only when they are wanted: a list of ten million takes its time."""
    return lambda: bothways.Settings(revocations=(bothways.serial_list(count),), **more)


# Bothways in other settings, to be named with --servers: what they cost is shown in a table of its own.
SETTINGS = {
    "bothways": bothways.Settings,
    # Records are made, queued and encoded: the server has no switch for that. Only the file is missing.
    "bothways-no-log-file": lambda: bothways.Settings(records="/dev/null"),
    "bothways-no-memo": lambda: bothways.Settings(tables=NO_MEMO),
    "bothways-1M": revoked(1_000_000),
    "bothways-1M-no-memo": revoked(1_000_000, tables=NO_MEMO),
    "bothways-10M": revoked(10_000_000),
    "bothways-10M-no-memo": revoked(10_000_000, tables=NO_MEMO),
    "bothways-connection-function": lambda: bothways.Settings(tables=LOOK_UP, viewer_mtls=ASKED),
    "bothways-viewer-function": lambda: bothways.Settings(tables=REWRITE, behavior=REWRITTEN),
}
ONLY = {  # what a setting can make a difference to
    "bothways-no-memo": ("handshake", "handshake-rsa", "handshake-ml-kem"),
    "bothways-no-log-file": ("handshake", "resumed", "keep-alive"),
}
BESIDE = ["bothways-no-memo", "bothways-no-log-file"]
DEFAULT = ["bothways", "hyper", "pingora", "envoy", "haproxy", "nginx", *BESIDE]
FULL = {"rounds": 5, "seconds": 3.0, "warm_up": 1.0, "idle": 1000, "attempts": 3, "patience": 900.0}
QUICK = {"rounds": 2, "seconds": 0.4, "warm_up": 0.1, "idle": 200, "attempts": 2, "patience": 30.0}
OVERHEAD_SECONDS = 0.6  # of a measurement: looking for quiet, starting the generator twice, its handshakes
CHECK_SECONDS = 2  # of each server
IDLE_SECONDS = 0.004  # of each connection that is held open


def add_options(parser):
    quick = "a first look in about two minutes, in target/bench; its numbers are no result"
    parser.add_argument("--quick", action="store_true", help=quick)
    servers = f"any of {','.join([*SETTINGS, *PEERS])}; default {','.join(DEFAULT)}"
    parser.add_argument("--servers", type=listed, default=DEFAULT, help=servers)
    builds = "measure the bothways of another folder beside it, as NAME; may be repeated"
    name = {"metavar": "NAME=FOLDER", "action": "append", "default": []}
    parser.add_argument("--build", type=build, help=builds, **name)
    works = f"any of {','.join(WORKS)}; default: all"
    parser.add_argument("--works", type=listed, default=list(WORKS), help=works)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--warm-up", type=float, help="seconds before each measurement")
    parser.add_argument("--attempts", type=int, help="at a measurement that something else disturbs")
    parser.add_argument("--idle", type=int, help="connections held open for the memory of one")
    patience = "seconds to wait, all in all, until others leave both cores alone"
    parser.add_argument("--patience", type=float, help=patience)


def check(parser, options):
    check_names(parser, "--servers", options.servers, [*SETTINGS, *PEERS])
    options.peers = [name for name in options.servers if name in PEERS]
    options.builds = dict(options.build)
    check_builds(parser, options.builds)
    options.servers = [*options.servers, *options.builds]
    check_names(parser, "--works", options.works, WORKS)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def run(options):
    os.sched_setaffinity(0, {LOAD_CORE})  # this script, too, keeps off the server's core
    pki.make()
    servers = {name: make(options, name) for name in options.servers if has_work(options, name)}
    duties = assign(options, servers)
    everyone = {server.name: server for server in (*servers.values(), *(server for _, _, server in duties))}
    say_how_long(options, len(duties), len(everyone))
    try:
        passed = {name: admit(options, server, duties) for name, server in everyone.items()}
        columns = [name for name in servers if is_column(name)]
        beside = [name for name in servers if not is_column(name)]
        memory = {name: idle_connection_bytes(servers[name], options.idle) for name in columns}
        rows = rounds.measure(options, plan(options, duties))
    finally:
        for server in everyone.values():
            server.stop()
    missing = {(name, work): server.missing[work] for work, name, server in duties if work in server.missing}
    Run(options, everyone, columns, beside, rows, memory, passed, missing).write()


def has_work(options, name):
    return any(work in ONLY.get(name, WORKS) for work in options.works)


def listed(text):
    return text.split(",")


def build(text):
    name, _, folder = text.partition("=")
    return name, Path(folder).resolve()


def check_builds(parser, builds):
    for name, folder in builds.items():
        if name in (*SETTINGS, *PEERS) or not (folder / "bothways").is_file():
            wanted = "a name that is not taken, and a folder with bothways in it, are wanted"
            parser.error(f"--build: {name}={folder}: {wanted}")


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
            shutil.copy(options.repository / "config/functions" / example, example)
    return bothways.make(options.binaries, name, SETTINGS[name]())


def is_column(name):
    return name in PEERS or name == "bothways"


def assign(options, servers):
    """(work, column, server): who does what, and in which column it stands."""
    stand_ins = {
        place: make_one(options)
        for place, make_one in STAND_INS.items()
        if place[0] in servers and place[1] in options.works
    }
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
    shown = f"{passed.admitted} good clients admitted, {passed.refused} others refused"
    print(f"{server.name}: {server.version}; {shown}", flush=True)
    for work in (work.name for work in works if work.name in server.missing):
        why = server.missing[work]
        if server.name in SETTINGS:
            sys.exit(f"error: {server.name} cannot do {work}: {why}")
        print(f"{server.name}: without {work}: {why}", flush=True)
    return passed


def plan(options, duties):
    """Each work, with those that can do it."""
    for work in options.works:
        asked = [(name, server) for duty, name, server in duties if duty == work]
        yield WORKS[work], [(name, server) for name, server in asked if work not in server.missing]


def say_how_long(options, duties, servers):
    measurements = options.rounds * duties
    seconds = measurements * (options.seconds + options.warm_up + OVERHEAD_SECONDS)
    seconds += servers * (CHECK_SECONDS + options.idle * IDLE_SECONDS)
    minutes = f"about {max(1, round(seconds / 60))} minutes"
    more = f"up to {options.patience / 60:g} more, and repeated ones, where something else is at work"
    print(f"bench: {measurements} measurements, {minutes}; {more}", flush=True)
