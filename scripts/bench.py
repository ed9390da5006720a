"""Measures servers that authenticate clients by certificate, side by side. Called by scripts/bench, which prepares what it needs.

Owns: the three servers' configurations, the rounds, the raw numbers and their summary. The load comes from loadgen, on another core.
A measured value is CPU time of the server's processes per operation. bench-results/README.md explains each choice.
"""

import argparse
import csv
import datetime
import json
import os
import platform
import shutil
import signal
import ssl
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
NAME = "edge.example.com"
GALLERY = Path(__file__).resolve().parent.parent / "config" / "functions"
BODY = "Hello, World!"
WORKS = {  # name: loadgen's mode, connections, what it is
    "handshake": ("handshake", 16, "full mTLS handshake and one request"),
    "resumed": ("resume", 16, "resumed handshake and one request"),
    "keep-alive": ("keepalive", 16, "one HTTP/1.1 request on an open connection"),
    "h2": ("h2", 16, "one HTTP/2 request on an open connection, 16 streams"),
}
OTHERS_MAX = 0.05  # of the server's core: a measurement during which others took more is repeated
ATTEMPTS = 3
START_POLLS = 1200  # of 50 ms: a list of ten million serial numbers takes its time
IDLE = 1000  # connections held open for the memory of one
COLUMNS = ["round", "work", "server", "attempt", "seconds", "operations", "errors", "ops_per_s", "server_us_per_op", "others_share", "p50_us", "p99_us"]

BOTHWAYS = """
[runtime]
cores = [{core}]
[limits]
verdicts_per_core = {verdicts}
[[listeners]]
address = "127.0.0.1:{port}"
[[trust_stores]]
name = "partners"
ca_bundle = "pki/root.pem"
revocations = [{revocations}]
{functions}
[[distributions]]
id = "EBENCH"
aliases = ["{name}"]
certificate = "pki/server.pem"
private_key = "pki/server.key"
viewer_mtls = {{ mode = "required", trust_store = "partners"{connection_function} }}
origins = [{{ id = "fixed", fixed_response = {{ status = 200, body = "{body}" }} }}]
behaviors = [{{ path_pattern = "*", origin = "fixed"{viewer_function} }}]
[logs.connection]
format = "json"
sink = {{ file = "connection.log" }}
"""

# Bothways under other settings, to be named with --servers: remembered verdicts, revoked serial numbers in a list.
VARIANTS = {
    "bothways": (8192, 0),
    "bothways-no-memo": (0, 0),
    "bothways-1M": (8192, 1_000_000),
    "bothways-1M-no-memo": (0, 1_000_000),
    "bothways-10M": (8192, 10_000_000),
    "bothways-10M-no-memo": (0, 10_000_000),
}

# ... and with functions: a connection function that looks the serial number up in a store of 5 MB, a viewer-request function.
CONNECTION_FUNCTION = """
[[key_value_stores]]
name = "revoked"
import = "revoked.json"
[[connection_functions]]
name = "deny-revoked"
code = "deny-revoked.js"
key_value_store = "revoked"
"""
VIEWER_FUNCTION = """
[[functions]]
name = "rewrite"
code = "rewrite.js"
"""
FUNCTIONS = {
    "bothways-connection-function": (CONNECTION_FUNCTION, ', connection_function = "deny-revoked"', ""),
    "bothways-viewer-function": (VIEWER_FUNCTION, "", ', function_associations = { viewer_request = "rewrite" }'),
}

NGINX = """
worker_processes 1;
daemon off;
pid nginx.pid;
error_log nginx-error.log;
events {{ worker_connections 8000; }}
http {{
    access_log off;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate pki/server.pem;
        ssl_certificate_key pki/server.key;
        ssl_protocols TLSv1.3;
        ssl_ecdh_curve X25519;
        ssl_client_certificate pki/root.pem;
        ssl_verify_client on;
        ssl_verify_depth 4;
        location / {{ default_type text/plain; return 200 "{body}"; }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend edge
    bind 127.0.0.1:{port} ssl crt pki/server-both.pem ca-file pki/root.pem verify required ssl-min-ver TLSv1.3 curves X25519 alpn h2,http/1.1
    http-request return status 200 content-type text/plain string "{body}"
"""


def main():
    options = parse_arguments()
    os.chdir(options.work)
    os.sched_setaffinity(0, {LOAD_CORE})  # this script, too, keeps off the server's core
    servers = [Server(name, options) for name in options.servers]
    try:
        for server in servers:
            server.start()
            check_refusals(server)
        memory = {server.name: idle_connection_bytes(server) for server in servers}
        rows = measure(options, servers)
    finally:
        for server in servers:
            server.stop()
    write_results(options, servers, rows, memory)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="temporary folder that holds pki/")
    parser.add_argument("--binaries", type=Path, required=True, help="folder of the built bothways and loadgen")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=1, help="seconds before each measurement")
    parser.add_argument("--topic", default="first-table", help="end of the result folder's name")
    parser.add_argument("--results", type=Path, default=Path(__file__).resolve().parent.parent / "bench-results")
    parser.add_argument("--servers", type=lambda text: text.split(","), default=["bothways", "nginx", "haproxy"])
    parser.add_argument("--works", type=lambda text: text.split(","), default=list(WORKS))
    options = parser.parse_args()
    options.binaries = options.binaries.resolve()
    options.results = options.results.resolve()
    return options


class Server:
    def __init__(self, name, options):
        self.name = name
        self.port = free_port()
        verdicts, revoked = VARIANTS.get(name, VARIANTS["bothways"])
        functions, connection_function, viewer_function = FUNCTIONS.get(name, ("", "", ""))
        if connection_function:
            import_file()
        if functions:
            for example in ("deny-revoked.js", "rewrite.js"):
                shutil.copy(GALLERY / example, example)
        template = {"nginx": NGINX, "haproxy": HAPROXY}.get(name, BOTHWAYS)
        revocations = f'"{serial_list(revoked)}"' if revoked else ""
        self.configuration = template.format(port=self.port, name=NAME, body=BODY, core=SERVER_CORE, verdicts=verdicts, revocations=revocations, functions=functions, connection_function=connection_function, viewer_function=viewer_function)
        self.file = f"{name}.conf"
        bothways = str(options.binaries / "bothways")
        self.command = {
            "nginx": ["nginx", "-p", os.getcwd(), "-c", self.file],
            "haproxy": ["haproxy", "-f", self.file],
        }.get(name, [bothways, "serve", "--config", self.file])
        self.version = first_line({"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"]}.get(name, [bothways, "--version"]))
        self.process = None

    def start(self):
        Path(self.file).write_text(self.configuration)
        log = open(f"{self.name}.log", "w")
        self.process = subprocess.Popen(["taskset", "-c", str(SERVER_CORE), *self.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        for _ in range(START_POLLS):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"error: {self.name} did not start:\n{Path(f'{self.name}.log').read_text()}")

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    def pids(self):
        """The processes of its group: HAProxy and Bothways are one, nginx a master and a worker."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) == self.process.pid:
                        yield int(entry.name)
                except OSError:
                    pass  # it ended meanwhile

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


def serial_list(count):
    """A file of so many serial numbers of 16 octets, none of them in use."""
    path = Path(f"revoked-{count}.txt")
    if not path.exists():
        with open(path, "w") as file:
            file.writelines(f"{0x40 + number % 0x40:02x}{number * 0x9E3779B97F4A7C15 % 2**120:030x}\n" for number in range(count))
    return path


def import_file():
    """A key-value store just below its limit of 5 MB, with serial numbers that nobody has."""
    entries = [f'{{"key":"{number * 0x9E3779B97F4A7C15 % 2**120:030x}","value":""}}' for number in range(98_500)]
    Path("revoked.json").write_text('{"data":[\n' + ",\n".join(entries) + "\n]}\n")


def check_refusals(server):
    """A server that lets everybody in would win every table."""
    expected = {"client": True, None: False, "untrusted": False}
    for client, admitted in expected.items():
        identity = ["--cert", f"pki/{client}.pem", "--key", f"pki/{client}.key"] if client else []
        url = f"https://{NAME}:{server.port}/"
        command = ["curl", "-sS", "--max-time", "10", "--cacert", "pki/server-ca.pem", "--resolve", f"{NAME}:{server.port}:127.0.0.1", *identity, url]
        answer = subprocess.run(command, capture_output=True, text=True)
        if (answer.stdout == BODY) != admitted:
            sys.exit(f"error: {server.name} {'refused' if admitted else 'admitted'} client {client}: {answer.stdout} {answer.stderr}")
    print(f"{server.name}: {server.version}; admits the client, refuses a missing and an untrusted certificate", flush=True)


def idle_connection_bytes(server):
    """Memory that one more connection costs, after one request on it: the difference between a few and IDLE of them."""
    context = ssl.create_default_context(cafile="pki/server-ca.pem")
    context.load_cert_chain("pki/client.pem", "pki/client.key")
    connections = []
    try:
        for _ in range(IDLE // 10):  # what the server allocates once
            connections.append(connect(context, server.port))
        before = server.resident_bytes()
        for _ in range(IDLE):
            connections.append(connect(context, server.port))
        return (server.resident_bytes() - before) / IDLE
    finally:
        for connection in connections:
            connection.close()


def connect(context, port):
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname=NAME)
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(BODY.encode()):
        received = connection.recv(4096)
        if not received:
            sys.exit(f"error: no answer on a new connection: {answer!r}")
        answer += received
    return connection


def measure(options, servers):
    """Interleaved: every round measures each work on each server, beginning with another server each time."""
    rows = []
    for number in range(options.rounds):
        for work in options.works:
            shift = number % len(servers)
            for server in servers[shift:] + servers[:shift]:
                rows += measure_once(options, server, number + 1, work)
    return rows


def measure_once(options, server, number, work):
    rows = []
    for attempt in range(1, ATTEMPTS + 1):
        load(options, server, work, options.warm_up)
        cpu, core, start = server.cpu_seconds(), core_busy_seconds(), time.monotonic()
        report = load(options, server, work, options.seconds)
        elapsed, cpu, core = time.monotonic() - start, server.cpu_seconds() - cpu, core_busy_seconds() - core
        row = {
            "round": number,
            "work": work,
            "server": server.name,
            "attempt": attempt,
            "seconds": round(elapsed, 3),
            "operations": report["operations"],
            "errors": report["errors"],
            "ops_per_s": round(report["operations"] / options.seconds, 1),
            "server_us_per_op": round(cpu / max(report["operations"], 1) * 1e6, 2),
            "others_share": round(max(0.0, core - cpu) / elapsed, 3),
            "p50_us": report["p50_us"],
            "p99_us": report["p99_us"],
        }
        rows.append(row)
        print("  ".join(f"{key} {row[key]}" for key in COLUMNS), flush=True)
        if row["errors"] == 0 and row["operations"] > 0 and row["others_share"] <= OTHERS_MAX:
            break
    return rows


def load(options, server, work, seconds):
    """One run of loadgen without a warm-up of its own: CPU time is read around the whole of it."""
    mode, connections, _ = WORKS[work]
    command = ["taskset", "-c", str(LOAD_CORE), str(options.binaries / "loadgen"), "--address", f"127.0.0.1:{server.port}", "--sni", NAME]
    command += ["--ca", "pki/server-ca.pem", "--cert", "pki/client.pem", "--key", "pki/client.key", "--mode", mode, "--connections", str(connections)]
    command += ["--streams", "16", "--tls", "1.3", "--group", "x25519", "--cipher", "aes128", "--duration", f"{round(seconds * 1000)}ms", "--warm-up", "0ms"]
    command += ["--cores", "1", "--json", "loadgen.json", "--quiet"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode not in (0, 1):
        sys.exit(f"error: loadgen: {result.stderr}")
    return read_report(json.loads(Path("loadgen.json").read_text()))


def read_report(report):
    """The only place that knows loadgen's JSON."""
    operations, latency = report["operations"], report["latency_us"]["operation"]
    return {
        "operations": operations["ok"],
        "errors": operations["failed"],
        "p50_us": latency["p50"],
        "p99_us": latency["p99"],
    }


def core_busy_seconds():
    """User, nice, system and stolen time of the server's core, by whomever."""
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0] == f"cpu{SERVER_CORE}":
            return sum(int(fields[column]) for column in (1, 2, 3, 8)) / os.sysconf("SC_CLK_TCK")
    sys.exit(f"error: this machine has no core {SERVER_CORE}")


def write_results(options, servers, rows, memory):
    folder = options.results / f"{datetime.date.today()}-{options.topic}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "raw.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    table = summary(options, servers, rows, memory)
    (folder / "summary.md").write_text(table)
    (folder / "README.md").write_text(description(options, servers))
    print(f"\n{table}\nbench: {len(rows)} measurements in {folder}")


def summary(options, servers, rows, memory):
    lines = ["# Server CPU time per operation", "", "µs, median (lowest to highest) of the rounds; operations per second in brackets. Lower is better.", ""]
    lines += ["| work | " + " | ".join(server.name for server in servers) + " |", "|---" * (len(servers) + 1) + "|"]
    for work in options.works:
        cells = [cell([row for row in rows if row["work"] == work and row["server"] == server.name]) for server in servers]
        lines.append(f"| {WORKS[work][2]} | " + " | ".join(cells) + " |")
    lines.append("| memory of an idle connection, KB | " + " | ".join(f"{memory[server.name] / 1000:.1f}" for server in servers) + " |")
    counted = [row for row in rows if kept(row, rows)]
    disturbed = sum(row["others_share"] > OTHERS_MAX for row in counted)
    lines += ["", f"Of {len(rows)} measurements {len(counted)} count: the least disturbed of those that were repeated."]
    lines += [f"**In {disturbed} of them other processes took more than {OTHERS_MAX:.0%} of the server's core.**"] if disturbed else []
    failed = sum(row["errors"] for row in counted)
    lines += [f"**{failed} operations failed in them.**"] if failed else []
    return "\n".join(lines) + "\n"


def kept(row, rows):
    """Of repeated measurements the least disturbed one counts."""
    same = [other for other in rows if (other["round"], other["work"], other["server"]) == (row["round"], row["work"], row["server"])]
    return row is min(same, key=lambda other: (other["errors"], other["others_share"]))


def cell(rows):
    rows = [row for row in rows if kept(row, rows)]
    values = [row["server_us_per_op"] for row in rows]
    rate = statistics.median(row["ops_per_s"] for row in rows)
    return f"**{statistics.median(values):.1f}** ({min(values):.1f}–{max(values):.1f}) [{rate:,.0f}/s]"


def description(options, servers):
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), platform.machine())
    commit = first_line(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"])
    text = [f"# {datetime.date.today()}: {options.topic}", "", "Numbers: [summary.md](summary.md), [raw.csv](raw.csv). Method: [the README above](../README.md).", ""]
    text += [f"- Commit {commit}, made by `scripts/bench --rounds {options.rounds} --seconds {options.seconds:g}`"]
    text += [f"- {model}, {os.cpu_count()} cores, Linux {platform.release()}, {first_line(['openssl', 'version'])}"]
    text += [f"- load when it ended: {Path('/proc/loadavg').read_text().strip()}"]
    text += [f"- {server.name}: {server.version}" for server in servers]
    for server in servers:
        text += ["", f"## Configuration of {server.name}", "", "```", server.configuration.strip(), "```"]
    return "\n".join(text) + "\n"


def first_line(command):
    result = subprocess.run(command, capture_output=True, text=True)
    return ((result.stdout or result.stderr).splitlines() or ["unknown"])[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
