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
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAME = "edge.example.com"
CONFIG = """
[runtime]
cores = {cores}
[control]
socket = "control.sock"
[[listeners]]
address = "127.0.0.1:{port}"
[[trust_stores]]
name = "partners"
ca_bundle = "pki/Trust_store_bundle.pem"
[[key_value_stores]]
name = "serials"
import = "serials.json"
{functions}
[[distributions]]
id = "EBENCH"
aliases = ["edge.example.com"]
certificate = "pki/server.pem"
private_key = "pki/server.key"
viewer_mtls = {{ mode = "required", trust_store = "partners", connection_function = "f0" }}
origins = [{{ id = "fixed", fixed_response = {{ status = 200, body = "Hello, World!" }} }}]
behaviors = [{{ path_pattern = "*", origin = "fixed" }}]
[logs.connection]
sink = {{ file = "connection.log" }}
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
    repository = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        subprocess.run([repository / "scripts/gen-pki", "pki"], check=True, capture_output=True)
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


class Server:
    def __init__(self, options, code, cores="[0]", functions=1):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        entries = [f'{{"key":"{number * 0x9E3779B97F4A7C15 % 2**120:030x}","value":""}}' for number in range(98_000)]
        Path("serials.json").write_text('{"data":[\n' + ",\n".join(entries) + "\n]}\n")
        Path("f.js").write_text(code)
        tables = "".join(FUNCTION.format(number=number) for number in range(functions))
        Path("edge.toml").write_text(CONFIG.format(port=self.port, cores=cores, functions=tables))
        self.bothways = str(options.binaries / "bothways")
        self.log = open("server.log", "w")
        self.process = subprocess.Popen([self.bothways, "serve", "--config", "edge.toml"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        for _ in range(600):
            if " ready " in Path("server.log").read_text():
                return
            time.sleep(0.05)
        sys.exit(f"error: the server did not start:\n{Path('server.log').read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def kvs(self, command, *arguments):
        subprocess.run([self.bothways, "kvs", command, "--config", "edge.toml", "serials", *arguments], check=True, capture_output=True)

    def resident_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return 0


def loadgen(options, server, client, *arguments):
    command = ["taskset", "-c", "1", str(options.binaries / "loadgen"), "--address", f"127.0.0.1:{server.port}", "--sni", NAME, "--ca", "pki/server-ca.pem"]
    command += ["--cert", f"pki/{client}.pem", "--key", f"pki/{client}.key", "--tls", "1.3", "--group", "x25519", "--warm-up", "500ms", "--quiet"]
    command += ["--duration", f"{round(options.seconds * 1000)}ms", "--json", f"{client}.json", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def slow_neighbours(options):
    """Good clients in a closed loop; beside them, in every second run, a ninth as many that never come to an end."""
    rows = []
    serial = colon_hex(Path("pki/revoked.serial").read_text().strip())
    with Server(options, SLOW % serial) as server:
        alone = 0
        for number in range(options.rounds):
            for slow in (False, True):
                rate = alone / 10 if slow else 0
                # Until good ones are nine times as many as the bad ones: their rate follows from what is left of the core.
                if slow:
                    rate = 1 / (9 / alone + 0.005 + 1 / alone)
                good = loadgen(options, server, "client", "--connections", "16")
                bad = loadgen(options, server, "revoked", "--expect", "refused", "--rate", f"{rate:.0f}", "--connections", "16") if slow else None
                good.wait()
                report = json.loads(Path("client.json").read_text())
                row = {"round": number + 1, "slow_per_s": round(rate), "good_per_s": round(report["operations"]["ok"] / options.seconds), "failed": report["operations"]["failed"]}
                row |= {name: report["latency_us"]["operation"][name] for name in ("p50", "p99", "max")}
                if bad:
                    bad.wait()
                    row["slow_refused"] = json.loads(Path("revoked.json").read_text())["operations"]["ok"]
                else:
                    alone = row["good_per_s"]
                rows.append(row)
                print(row, flush=True)
    return rows


def colon_hex(serial):
    digits = serial.lower().replace(":", "")
    digits = digits if len(digits) % 2 == 0 else "0" + digits
    digits = "00" + digits if int(digits[:2], 16) >= 0x80 else digits
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def puts(options):
    """Each put bars a client that is then tried on both cores, and a delete lets it in again."""
    context = ssl.create_default_context(cafile="pki/server-ca.pem")
    context.load_cert_chain("pki/client.pem", "pki/client.key")
    serial = subprocess.run(["openssl", "x509", "-in", "pki/client.pem", "-noout", "-serial"], check=True, capture_output=True, text=True).stdout
    key = colon_hex(serial.strip().partition("=")[2]).replace(":", "")
    times, late = [], 0
    with Server(options, LOOK_UP, cores='"all"') as server:
        if not admitted(context, server):
            sys.exit("error: the client was not admitted")
        for _ in range(options.puts):
            start = time.monotonic()
            server.kvs("put", key, "")
            times.append(time.monotonic() - start)
            late += sum(admitted(context, server) for _ in range(8))
            server.kvs("delete", key)
    times.sort()
    at = lambda share: round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 1)
    row = {"puts": len(times), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1), "connections_after": 8 * len(times), "admitted_after": late}
    print(row, flush=True)
    return row


def admitted(context, server):
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=10), server_hostname=NAME) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            return b"200" in connection.recv(100)
    except OSError:
        return False


def memory(options):
    sizes = {}
    for functions in (1, options.functions):
        with Server(options, LOOK_UP, functions=functions) as server:
            time.sleep(0.5)
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
