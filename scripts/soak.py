"""A long run of Bothways near its limit, while its trust is reloaded. Called by scripts/soak, which prepares what it needs.

Owns: the scenario, the samples of memory, the verdict. First a short closed loop finds what one core can do with this very mix; then an
open loop asks for a share of it. Exit code 1: a good client failed, a bad one came in, a record was lost, a reload was refused, or memory grew.
"""

import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from bench_lib import NAME
from bench_lib.machine import LOAD_CORE, SERVER_CORE, description, first_line
from bench_lib.server import Server, end_in_order, free_port

IDENTITIES, BAD = 2000, 500
RELOAD_SECONDS, SAMPLE_SECONDS = 10, 5
FIND_SECONDS = 15
GROWTH_MAX = 0.05

CONFIGURATION = """
[runtime]
cores = [{core}]
[admin]
address = "127.0.0.1:{admin}"
[[listeners]]
address = "127.0.0.1:{port}"
[[trust_stores]]
name = "partners"
ca_bundle = "pki/client-ca.pem"
revocations = ["pki/revoked-serials.txt", "pki/revoked.crl"]
[[distributions]]
id = "ESOAK"
aliases = ["{name}"]
certificate = "pki/server.pem"
private_key = "pki/server.key"
viewer_mtls = {{ mode = "required", trust_store = "partners" }}
origins = [{{ id = "fixed", fixed_response = {{ status = 200, body = "Hello, World!" }} }}]
behaviors = [{{ path_pattern = "*", origin = "fixed" }}]
[logs.connection]
format = "json"
sink = {{ file = "connection.log" }}
"""

TARGET = """
[target]
url = "https://{name}:{port}/"
address = "127.0.0.1:{port}"
ca = ["pki/ca.pem"]
tls = "1.3"
group = "x25519"
"""

MIX = {  # name: weight, work, identities, whether it is to be refused
    "new": (30, "handshake", "good", False),
    "returning": (20, "resume", "good", False),
    "keep-alive": (30, "keepalive", "good", False),
    "h2": (10, "h2", "good", False),
    "no certificate": (3, "handshake", None, True),
    "expired": (2, "handshake", "expired", True),
    "untrusted": (2, "handshake", "untrusted", True),
    "revoked": (3, "handshake", "revoked", True),
}


def main():
    options = arguments()
    os.chdir(options.work)
    os.sched_setaffinity(0, {LOAD_CORE})
    end_in_order()
    loadgen = options.binaries / "loadgen"
    subprocess.run([loadgen, "pki", "--out", "pki", "--identities", str(IDENTITIES), "--bad", str(BAD), "--server-name", NAME], check=True, capture_output=True)
    port, admin = free_port(), free_port()
    configuration = CONFIGURATION.format(core=SERVER_CORE, port=port, admin=admin, name=NAME)
    Path("soak.toml").write_text(configuration)
    program = options.binaries / "bothways"
    server = Server("bothways", port, [program, "serve", "--config", "soak.toml"], configuration, first_line([program, "--version"]))
    with server:
        found = run(loadgen, server, port, f'[[phases]]\nname = "find"\nduration = "{FIND_SECONDS}s"\nclients = 64\n')
        capacity = (found["operations"]["ok"] + found["operations"]["failed"]) / FIND_SECONDS
        rate = max(1, round(capacity * options.share))
        print(f"one core does {capacity:,.0f} operations a second of this mix; {options.minutes:g} minutes at {rate:,} follow", flush=True)
        watch = Watch(server, admin)
        report = run(loadgen, server, port, phases(options, rate))
        watch.stop()
        metrics = watch.metrics()
    records = sum(1 for _ in open("connection.log"))
    write(options, server, rate, capacity, report, watch, metrics, records)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="temporary folder")
    parser.add_argument("--binaries", type=Path, required=True, help="folder of the built bothways and loadgen")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.8, help="of what one core can do")
    parser.add_argument("--topic", default="soak", help="end of the result folder's name")
    parser.add_argument("--results", type=Path, default=Path(__file__).resolve().parent.parent / "bench-results")
    options = parser.parse_args()
    options.binaries, options.results = options.binaries.resolve(), options.results.resolve()
    return options


def phases(options, rate):
    """A tenth to warm up, then five equal parts, so that the last can be held against the first."""
    seconds = options.minutes * 60
    text = f'[[phases]]\nname = "warm-up"\nduration = "{seconds / 10:.0f}s"\nrate = {rate}\nclients = 400\nmeasured = false\n'
    for number in range(1, 6):
        text += f'[[phases]]\nname = "part {number}"\nduration = "{seconds * 0.18:.0f}s"\nrate = {rate}\nclients = 400\n'
    return text


def run(loadgen, server, port, phases_text):
    scenario = TARGET.format(name=NAME, port=port)
    for name in ("good", "expired", "untrusted", "revoked"):
        scenario += f'[[identities]]\nname = "{name}"\nbundle = "pki/{name}.pem"\n'
    for name, (weight, work, identities, refused) in MIX.items():
        scenario += f'[[mix]]\nname = "{name}"\nweight = {weight}\nwork = "{work}"\n'
        scenario += f'identities = "{identities}"\n' if identities else ""
        scenario += 'expect = "refused"\n' if refused else ""
        scenario += "requests_per_connection = 200\n" if work in ("keepalive", "h2") else ""
    Path("scenario.toml").write_text(scenario + phases_text)
    command = ["taskset", "-c", str(LOAD_CORE), loadgen, "--scenario", "scenario.toml", "--cores", "1", "--quiet", "--json", "report.json", "--server-pid", str(server.process.pid)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=open("report.txt", "w"), stderr=subprocess.PIPE, text=True)
    if ended.returncode not in (0, 1):
        sys.exit(f"error: loadgen: {ended.stderr}")
    return json.loads(Path("report.json").read_text())


class Watch:
    """Sends SIGHUP and samples memory until it is stopped."""

    def __init__(self, server, admin):
        self.server, self.admin, self.samples, self.ended = server, admin, [], threading.Event()
        self.started = time.monotonic()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        next_reload = RELOAD_SECONDS
        while not self.ended.wait(SAMPLE_SECONDS):
            seconds = time.monotonic() - self.started
            self.samples.append((round(seconds), self.server.resident_bytes()))
            if seconds >= next_reload:
                next_reload += RELOAD_SECONDS
                self.server.hang_up()

    def stop(self):
        self.ended.set()
        self.thread.join()

    def metrics(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=10).read().decode()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line and not line.startswith("#")}

    def thirds(self):
        """Median memory of the first and of the last third after the warm-up tenth."""
        after = [memory for seconds, memory in self.samples if seconds >= self.samples[-1][0] / 10]
        third = max(1, len(after) // 3)
        return statistics.median(after[:third]), statistics.median(after[-third:])


def verdicts(report, watch, metrics, records):
    first, last = watch.thirds()
    accepted = metrics["bothways_connections_accepted_total"]
    dropped = sum(value for name, value in metrics.items() if name.startswith("bothways_records_dropped_total"))
    entries = report["entries"]
    good = sum(entry["failed"] + entry["not_resumed"] for entry in entries if not MIX[entry["name"]][3])
    bad = sum(entry["failed"] for entry in entries if MIX[entry["name"]][3])
    published, not_published = (metrics[f'bothways_reloads_total{{result="{result}"}}'] for result in ("published", "refused"))
    account = report["account"]
    undone = f"of {account['asked']:,} operations asked for {account['not_started']:,} were never started, {account['in_flight']:,} in flight at the end"
    yield account["balanced"] and account["not_started"] == 0, undone
    yield good == 0, f"{good} operations of good clients failed, or were not resumed as they should have been"
    yield bad == 0, f"{bad} bad clients were not refused as they should have been"
    yield dropped == 0 and records == accepted, f"{records:,} records of {accepted:,.0f} connections, {dropped:.0f} dropped"
    yield not_published == 0, f"{published:.0f} reloads published, {not_published:.0f} refused"
    yield abs(last / first - 1) <= GROWTH_MAX, f"memory (PSS, median of a third): {first / 1e6:.1f} MB in the first, {last / 1e6:.1f} MB in the last ({last / first - 1:+.1%})"


def write(options, server, rate, capacity, report, watch, metrics, records):
    folder = options.results / f"{datetime.date.today()}-{options.topic}"
    folder.mkdir(parents=True, exist_ok=True)
    judged = list(verdicts(report, watch, metrics, records))
    lines = [f"# {options.minutes:g} minutes at {options.share:.0%} of one core", ""]
    lines += [f"{capacity:,.0f} operations a second in a closed loop; {rate:,} a second asked for.", "", "| held | what |", "|---|---|"]
    lines += [f"| {'yes' if held else '**no**'} | {what} |" for held, what in judged]
    lines += ["", "| part | operations | failed | p50 | p99 | p99.9 | max |", "|---|---|---|---|---|---|---|"]
    for phase in report["phases"]:
        latency = phase.get("latency_us") or {}
        cells = [f"{latency[key] / 1000:.2f} ms" if latency.get(key) is not None else "–" for key in ("p50", "p99", "p99.9", "max")]
        lines.append(f"| {phase['name']} | {phase['ok']:,} | {phase['failed']:,} | " + " | ".join(cells) + " |")
    summary = "\n".join(lines) + "\n"
    (folder / "summary.md").write_text(summary)
    with open(folder / "memory.csv", "w", newline="") as file:
        csv.writer(file).writerows([("seconds", "pss_bytes"), *watch.samples])
    (folder / "report.txt").write_text(Path("report.txt").read_text())
    text = [f"# {datetime.date.today()}: {options.topic}", "", "Result: [summary.md](summary.md); memory every five seconds: [memory.csv](memory.csv); loadgen's report: [report.txt](report.txt).", ""]
    text += [f"- made by `scripts/soak --minutes {options.minutes:g} --share {options.share:g}`, {server.version}"] + [f"- {line}" for line in description()]
    text += ["", "## Configuration", "", "```", server.configuration.strip(), "```", "", "## Scenario", "", "```", Path("scenario.toml").read_text().strip(), "```"]
    (folder / "README.md").write_text("\n".join(text) + "\n")
    print(summary)
    sys.exit(0 if all(held for held, _ in judged) else 1)


if __name__ == "__main__":
    main()
