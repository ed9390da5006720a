"""Measures what a second core is worth: server and generator together on one core, then on two.

A machine with two cores has none to spare for the generator. So both halves of the work are given one core,
then two: if nothing is shared that should not be, twice the cores do twice the work. Rounds alternate; the
figure is the ratio of the medians. The log shipper, a thread of its own, is part of the work.
"""

import csv
import json
import statistics
import subprocess
from pathlib import Path

from bench_lib import NAME, bothways, machine, pki
from bench_lib.load import WORKS
from bench_lib.table import table

TOPIC = "scale"
CONNECTIONS_PER_CORE = 16
TARGET = 1.9


def add_options(parser):
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    works = ["handshake", "resumed", "keep-alive"]
    parser.add_argument("--works", type=lambda text: text.split(","), default=works)


def run(options):
    pki.make()
    rows = []
    for number in range(options.rounds):
        for cores in (1, 2) if number % 2 == 0 else (2, 1):
            for work in options.works:
                rows.append(measure(options, work, cores, number + 1))
                print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    write(options, rows)


def measure(options, work, cores, number):
    """One run of server and generator on the first `cores` CPUs, the server new each time."""
    settings = bothways.Settings(cores=str(list(range(cores))))
    server = bothways.make(options.binaries, f"bothways-{cores}", settings, pinned=False)
    server.command = ["taskset", "-c", cpus(cores), *server.command]
    with server:
        before = server.cpu_seconds()
        found = load(options, server, work, cores)
        spent = server.cpu_seconds() - before
    operations = found["operations"]
    return {
        "round": number,
        "work": work,
        "cores": cores,
        "ops_per_s": round(operations["ok"] / options.seconds, 1),
        "server_us_per_op": round(spent / max(operations["ok"], 1) * 1e6, 2),
        "failed": operations["failed"] + operations["not_resumed"],
    }


def load(options, server, work, cores):
    """The report of loadgen on the same CPUs, with as many connections for each."""
    asked = WORKS[work]
    program = ["taskset", "-c", cpus(cores), options.binaries / "loadgen"]
    wanted = f"""
        --address 127.0.0.1:{server.port} --sni {NAME} --ca pki/server-ca.pem
        --cert pki/{asked.client}.pem --key pki/{asked.client}.key --mode {asked.mode}
        --connections {CONNECTIONS_PER_CORE * cores} --cores {cores}
        --tls 1.3 --group {asked.group} --cipher aes128
        --warm-up 300ms --duration {round(options.seconds * 1000)}ms --json scale.json --quiet
    """
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run([*program, *wanted.split()], check=True, **quiet)
    return json.loads(Path("scale.json").read_text())


def cpus(cores):
    return ",".join(map(str, range(cores)))


def write(options, rows):
    options.folder.mkdir(parents=True)
    with open(options.folder / "raw.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    text = "\n".join(summary(options, rows)) + "\n"
    (options.folder / "summary.md").write_text(text)
    print(text)


def summary(options, rows):
    columns = {
        "work": lambda work: WORKS[work].title,
        "one core, a second": lambda work: spread(values(rows, work, 1, "ops_per_s"), ",.0f"),
        "two cores, a second": lambda work: spread(values(rows, work, 2, "ops_per_s"), ",.0f"),
        "times as many": lambda work: f"**{ratio(rows, work):.2f}**",
        "server CPU, µs: one": lambda work: spread(values(rows, work, 1, "server_us_per_op"), ".1f"),
        "two": lambda work: spread(values(rows, work, 2, "server_us_per_op"), ".1f"),
    }
    failed = sum(row["failed"] for row in rows)
    return [
        "# Two cores against one",
        "",
        "Server and generator on the same CPUs: one, then two. Medians (lowest to highest) of the rounds.",
        "",
        *table(columns, options.works),
        "",
        f"{len(rows)} measurements, {failed} operations failed. "
        f"Target: {TARGET} times as many full handshakes.",
        "",
        f"- Commit {options.commit}, made by `{options.command}`",
        *[f"- {text}" for text in machine.description() if not text.startswith("server on")],
    ]


def ratio(rows, work):
    one, two = (statistics.median(values(rows, work, cores, "ops_per_s")) for cores in (1, 2))
    return two / one


def values(rows, work, cores, column):
    return [row[column] for row in rows if (row["work"], row["cores"]) == (work, cores)]


def spread(found, form):
    return f"{statistics.median(found):{form}} ({min(found):{form}}–{max(found):{form}})"
