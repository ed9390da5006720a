"""What a second core is worth: full handshakes on one core and on two, server and generator together. Called by scripts/bench --scale.

A machine with two cores has none to spare for the generator. So both halves of the work are given one core, then two: if nothing is shared that
should not be, twice the cores do twice the work. Rounds alternate; the figure is the ratio of the medians. What a record costs the log shipper, a thread of
its own, is part of the work.
"""

import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
from pathlib import Path

from bench_lib import LARGE_BYTES, NAME, bothways, machine, pki
from bench_lib.load import WORKS
from bench_lib.server import end_in_order

REPOSITORY = Path(__file__).resolve().parent.parent
CONNECTIONS_PER_CORE = 16
TARGET = 1.9


def main():
    options = parse_arguments()
    end_in_order()
    os.chdir(options.work)
    pki.make()
    Path("large").write_text("x" * LARGE_BYTES)
    rows = []
    for number in range(options.rounds):
        for cores in (1, 2) if number % 2 == 0 else (2, 1):
            for work in options.works:
                rows.append(measure(options, work, cores, number + 1))
                print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    write(options, rows)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench --scale", description="Measures what two cores do against one.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--works", type=lambda text: text.split(","), default=["handshake", "resumed", "keep-alive"])
    parser.add_argument("--topic", default="scale", help="end of the result folder's name")
    for name in ("work", "binaries"):
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = REPOSITORY / "bench-results" / f"{datetime.date.today()}-{options.topic}"
    if options.folder.exists():
        parser.error(f"--topic: {options.folder} exists, and results are kept: choose another one")
    return options


def measure(options, work, cores, number):
    """One run of server and generator on the first `cores` CPUs, the server new each time."""
    settings = bothways.Settings(cores=str(list(range(cores))))
    server = bothways.make(options.binaries, f"bothways-{cores}", settings, pinned=False)
    server.command = ["taskset", "-c", ",".join(map(str, range(cores))), *server.command]
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
    """loadgen on the same CPUs, with as many connections for each."""
    asked = WORKS[work]
    command = ["taskset", "-c", ",".join(map(str, range(cores))), str(options.binaries / "loadgen"), "--address", f"127.0.0.1:{server.port}", "--sni", NAME]
    command += ["--ca", "pki/server-ca.pem", "--cert", f"pki/{asked.client}.pem", "--key", f"pki/{asked.client}.key", "--mode", asked.mode]
    command += ["--connections", str(CONNECTIONS_PER_CORE * cores), "--cores", str(cores), "--tls", "1.3", "--group", asked.group, "--cipher", "aes128"]
    command += ["--warm-up", "300ms", "--duration", f"{round(options.seconds * 1000)}ms", "--json", "scale.json", "--quiet"]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return json.loads(Path("scale.json").read_text())


def write(options, rows):
    options.folder.mkdir(parents=True)
    with open(options.folder / "raw.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    lines = ["# Two cores against one", "", "Server and generator on the same CPUs: one, then two. Medians (lowest to highest) of the rounds.", ""]
    lines += ["| work | one core, a second | two cores, a second | times as many | server CPU, µs: one | two |", "|---|---|---|---|---|---|"]
    lines += [line(rows, work) for work in options.works]
    failed = sum(row["failed"] for row in rows)
    lines += ["", f"{len(rows)} measurements, {failed} operations failed. Target: {TARGET} times as many full handshakes."]
    lines += ["", f"- Commit {machine.first_line(['git', '-C', str(REPOSITORY), 'describe', '--always', '--dirty'])}, made by `{os.environ.get('BENCH_COMMAND', 'scripts/bench --scale')}`"]
    lines += [f"- {text}" for text in machine.description() if not text.startswith("server on")]
    (options.folder / "summary.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def line(rows, work):
    rate = {cores: values(rows, work, cores, "ops_per_s") for cores in (1, 2)}
    cost = {cores: values(rows, work, cores, "server_us_per_op") for cores in (1, 2)}
    ratio = statistics.median(rate[2]) / statistics.median(rate[1])
    cells = [WORKS[work].title, *(spread(rate[cores], ",.0f") for cores in (1, 2)), f"**{ratio:.2f}**", *(spread(cost[cores], ".1f") for cores in (1, 2))]
    return "| " + " | ".join(cells) + " |"


def values(rows, work, cores, column):
    return [row[column] for row in rows if (row["work"], row["cores"]) == (work, cores)]


def spread(found, form):
    return f"{statistics.median(found):{form}} ({min(found):{form}}–{max(found):{form}})"


if __name__ == "__main__":
    main()
