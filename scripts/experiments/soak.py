"""Runs Bothways for a long time near its limit, and looks whether anything grows, fails or is lost.

New and returning clients, keep-alive and HTTP/2, one client in ten with a certificate that must be refused, a
SIGHUP every ten seconds, each with one more revocation. First a short closed loop finds what one core can do
with this very mix; then an open loop asks for a share of it. Exit code 1: a good client failed, a bad one
came in, a record was lost, a reload was refused, or memory grew.
"""

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
from bench_lib.pki import unused_serials
from bench_lib.server import Server, free_port
from bench_lib.table import table

TOPIC = "soak"
IDENTITIES, BAD = 2000, 500
RELOAD_SECONDS, SAMPLE_SECONDS = 10, 5
FIND_SECONDS = 15
GROWTH_MAX = 0.05
SERIALS = Path("pki/revoked-serials.txt")
DROPPED = "bothways_records_dropped_total"
RELOADS = 'bothways_reloads_total{{result="{result}"}}'

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


def add_options(parser):
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--share", type=float, default=0.8, help="of what one core can do")


def run(options):
    os.sched_setaffinity(0, {LOAD_CORE})
    loadgen = options.binaries / "loadgen"
    many = ["--identities", str(IDENTITIES), "--bad", str(BAD), "--server-name", NAME]
    subprocess.run([loadgen, "pki", "--out", "pki", *many], check=True, capture_output=True)
    with make(options, free_port(), free_port()) as server:
        found = ask(loadgen, server, FIND)
        capacity = (found["operations"]["ok"] + found["operations"]["failed"]) / FIND_SECONDS
        rate = max(1, round(capacity * options.share))
        print(f"one core does {capacity:,.0f} operations a second of this mix", flush=True)
        print(f"{options.minutes:g} minutes at {rate:,} follow", flush=True)
        watch = Watch(server)
        report = ask(loadgen, server, phases(options, rate))
        watch.stop()
        metrics = watch.metrics()
    records = sum(1 for _ in open("connection.log"))
    judged = list(verdicts(report, watch, metrics, records))
    write(options, server, summary(options, rate, capacity, report, judged), watch)
    if not all(held for held, _ in judged):
        sys.exit(1)


def make(options, port, admin):
    configuration = CONFIGURATION.format(core=SERVER_CORE, port=port, admin=admin, name=NAME)
    Path("soak.toml").write_text(configuration)
    program = options.binaries / "bothways"
    command = [program, "serve", "--config", "soak.toml"]
    server = Server("bothways", port, command, configuration, first_line([program, "--version"]))
    server.admin = admin
    return server


def phases(options, rate):
    """A tenth to warm up, then five equal parts, so that the last can be held against the first."""
    seconds = options.minutes * 60
    text = phase("warm-up", seconds / 10, f"rate = {rate}\nclients = 400\nmeasured = false")
    for number in range(1, 6):
        text += phase(f"part {number}", seconds * 0.18, f"rate = {rate}\nclients = 400")
    return text


def phase(name, seconds, more):
    return f'[[phases]]\nname = "{name}"\nduration = "{seconds:.0f}s"\n{more}\n'


FIND = phase("find", FIND_SECONDS, "clients = 64")


def ask(loadgen, server, phases_text):
    """The report of loadgen on the mix, for these phases."""
    Path("scenario.toml").write_text(TARGET.format(name=NAME, port=server.port) + mix() + phases_text)
    command = ["taskset", "-c", str(LOAD_CORE), loadgen, "--scenario", "scenario.toml", "--cores", "1"]
    command += ["--quiet", "--json", "report.json", "--server-pid", str(server.process.pid)]
    with open("report.txt", "w") as report:
        streams = {"stdin": subprocess.DEVNULL, "stdout": report, "stderr": subprocess.PIPE}
        ended = subprocess.run(command, text=True, **streams)
    if ended.returncode not in (0, 1):
        sys.exit(f"error: loadgen: {ended.stderr}")
    return json.loads(Path("report.json").read_text())


def mix():
    text = ""
    for name in ("good", "expired", "untrusted", "revoked"):
        text += f'[[identities]]\nname = "{name}"\nbundle = "pki/{name}.pem"\n'
    for name, (weight, work, identities, refused) in MIX.items():
        text += f'[[mix]]\nname = "{name}"\nweight = {weight}\nwork = "{work}"\n'
        text += f'identities = "{identities}"\n' if identities else ""
        text += 'expect = "refused"\n' if refused else ""
        text += "requests_per_connection = 200\n" if work in ("keepalive", "h2") else ""
    return text


class Watch:
    """Revokes one more, sends SIGHUP, and samples memory, until it is stopped."""

    def __init__(self, server):
        self.server, self.samples, self.ended = server, [], threading.Event()
        self.unused = unused_serials(1_000_000)
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
                self.revoke_one_more()
                self.server.hang_up()

    def revoke_one_more(self):
        """So that a reload has something to load: a file that has not changed is not read again."""
        renewed = SERIALS.with_suffix(".new")
        renewed.write_text(SERIALS.read_text() + next(self.unused) + "\n")
        renewed.rename(SERIALS)

    def stop(self):
        self.ended.set()
        self.thread.join()

    def metrics(self):
        url = f"http://127.0.0.1:{self.server.admin}/metrics"
        lines = urllib.request.urlopen(url, timeout=10).read().decode().splitlines()
        values = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in values}

    def thirds(self):
        """Median memory of the first and of the last third after the warm-up tenth."""
        after = [memory for seconds, memory in self.samples if seconds >= self.samples[-1][0] / 10]
        third = max(1, len(after) // 3)
        return statistics.median(after[:third]), statistics.median(after[-third:])


def verdicts(report, watch, metrics, records):
    """(whether it held, what) for all that is asked of the run."""
    account = report["account"]
    yield (
        account["balanced"] and account["not_started"] == 0,
        f"of {account['asked']:,} operations asked for {account['not_started']:,} were never started, "
        f"{account['in_flight']:,} in flight at the end",
    )
    good = sum(entry["failed"] + entry["not_resumed"] for entry in entries(report, refused=False))
    yield good == 0, f"{good} operations of good clients failed, or were not resumed as they should have been"
    bad = sum(entry["failed"] for entry in entries(report, refused=True))
    yield bad == 0, f"{bad} bad clients were not refused as they should have been"
    # A connection that was closed before it sent an octet has no record.
    accepted = metrics["bothways_connections_accepted_total"] - metrics["bothways_connections_unused_total"]
    lost = sum(value for name, value in metrics.items() if name.startswith(DROPPED))
    yield (
        lost == 0 and records == accepted,
        f"{records:,} records of {accepted:,.0f} connections, {lost:.0f} dropped",
    )
    published, refused = (metrics[RELOADS.format(result=result)] for result in ("published", "refused"))
    yield refused == 0, f"{published:.0f} reloads published, {refused:.0f} refused"
    first, last = watch.thirds()
    yield (
        abs(last / first - 1) <= GROWTH_MAX,
        f"memory (PSS, median of a third): {first / 1e6:.1f} MB in the first, "
        f"{last / 1e6:.1f} MB in the last ({last / first - 1:+.1%})",
    )


def entries(report, refused):
    return [entry for entry in report["entries"] if MIX[entry["name"]][3] == refused]


def summary(options, rate, capacity, report, judged):
    parts = {
        "part": "name",
        "operations": lambda phase: f"{phase['ok']:,}",
        "failed": lambda phase: f"{phase['failed']:,}",
        **{name: latency(name) for name in ("p50", "p99", "p99.9", "max")},
    }
    held = {"held": lambda verdict: "yes" if verdict[0] else "**no**", "what": lambda verdict: verdict[1]}
    return [
        f"# {options.minutes:g} minutes at {options.share:.0%} of one core",
        "",
        f"{capacity:,.0f} operations a second in a closed loop; {rate:,} a second asked for.",
        "",
        *table(held, judged),
        "",
        *table(parts, report["phases"]),
    ]


def latency(name):
    def cell(phase):
        value = (phase.get("latency_us") or {}).get(name)
        return "–" if value is None else f"{value / 1000:.2f} ms"

    return cell


def write(options, server, summary, watch):
    folder = options.folder
    folder.mkdir(parents=True)
    text = "\n".join(summary) + "\n"
    (folder / "summary.md").write_text(text)
    with open(folder / "memory.csv", "w", newline="") as file:
        csv.writer(file).writerows([("seconds", "pss_bytes"), *watch.samples])
    (folder / "report.txt").write_text(Path("report.txt").read_text())
    (folder / "README.md").write_text("\n".join(about(options, server)) + "\n")
    print(text)


def about(options, server):
    return [
        f"# {datetime.date.today()}: {options.topic}",
        "",
        "Result: [summary.md](summary.md); memory every five seconds: [memory.csv](memory.csv);",
        "loadgen's report: [report.txt](report.txt).",
        "",
        f"- made by `{options.command}` at commit {options.commit}, {server.version}",
        *[f"- {line}" for line in description()],
        "",
        *quoted("Configuration", server.configuration),
        "",
        *quoted("Scenario", Path("scenario.toml").read_text()),
    ]


def quoted(title, text):
    return [f"## {title}", "", "```", text.strip(), "```"]
