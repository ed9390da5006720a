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
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

NAME = "edge.example.com"
CONFIG = """
[runtime]
cores = [0]
[limits]
idle_timeout_ms = 600000
[[listeners]]
address = "127.0.0.1:{port}"
[[trust_stores]]
name = "partners"
ca_bundle = "pki/Trust_store_bundle.pem"
revocations = ["pki/revoked-serials.txt", "many.txt"]
[[distributions]]
id = "EBENCH"
aliases = ["edge.example.com"]
certificate = "pki/server.pem"
private_key = "pki/server.key"
viewer_mtls = {{ mode = "required", trust_store = "partners" }}
origins = [{{ id = "fixed", fixed_response = {{ status = 200, body = "Hello, World!" }} }}]
behaviors = [{{ path_pattern = "*", origin = "fixed" }}]
[logs.connection]
sink = {{ file = "connection.log" }}
"""


def main():
    options = parse_arguments()
    folder = options.results / f"{datetime.date.today()}-{options.topic}"
    folder.mkdir(parents=True, exist_ok=True)
    repository = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        subprocess.run([repository / "scripts/gen-pki", "pki"], check=True, capture_output=True)
        Path("pki/revoked-serials.txt").touch()
        server = Server(options)
        try:
            latency = under_reload(options, server)
            closing = [time_to_close(options, server) for _ in range(options.rounds)]
        finally:
            server.stop()
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


class Server:
    """Bothways on core 0 of this machine; its other threads run where the kernel puts them."""

    def __init__(self, options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        Path("edge.toml").write_text(CONFIG.format(port=self.port))
        with open("many.txt", "w") as file:
            file.writelines(f"{0x40 + number % 0x40:02x}{number * 0x9E3779B97F4A7C15 % 2**120:030x}\n" for number in range(options.serials))
        self.log = open("server.log", "w")
        self.process = subprocess.Popen([options.binaries / "bothways", "serve", "--config", "edge.toml"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait_for("ready", 0)

    def said(self, words):
        return sum(words in line for line in Path("server.log").read_text().splitlines())

    def wait_for(self, words, already):
        for _ in range(6000):
            if self.said(words) > already:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        sys.exit(f"error: the server did not say {words!r}:\n{Path('server.log').read_text()}")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()


def under_reload(options, server):
    rows = []
    for number in range(options.rounds):
        for reloading in (False, True):
            before, cpu = server.said("reload published"), server.cpu_seconds()
            report = load(options, server, reloading)
            row = {
                "round": number + 1,
                "reloads": server.said("reload published") - before,
                "operations": report["operations"]["ok"],
                "failed": report["operations"]["failed"],
                "server_cpu_s": round(server.cpu_seconds() - cpu, 2),
                **{name: report["latency_us"]["operation"][name] for name in ("p50", "p99", "max")},
            }
            rows.append(row)
            print(row, flush=True)
    return rows


def load(options, server, reloading):
    command = ["taskset", "-c", "1", str(options.binaries / "loadgen"), "--address", f"127.0.0.1:{server.port}", "--sni", NAME]
    command += ["--ca", "pki/server-ca.pem", "--cert", "pki/client.pem", "--key", "pki/client.key", "--rate", str(options.rate), "--connections", "64"]
    command += ["--tls", "1.3", "--group", "x25519", "--duration", f"{round(options.seconds * 1000)}ms", "--warm-up", "1s", "--json", "loadgen.json", "--quiet"]
    over = threading.Event()

    def reload():
        while reloading and not over.wait(options.every):
            server.hang_up()

    thread = threading.Thread(target=reload)
    thread.start()
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    over.set()
    thread.join()
    return json.loads(Path("loadgen.json").read_text())


def time_to_close(options, server):
    """Half of the connections belong to a client that is then revoked."""
    Path("pki/revoked-serials.txt").write_text("")
    published = server.said("reload published")
    server.hang_up()
    server.wait_for("reload published", published)
    revoked, others = ([connect(server, who) for _ in range(options.connections // 2)] for who in ("revoked", "client"))
    Path("pki/revoked-serials.txt").write_text(Path("pki/revoked.serial").read_text())
    selector = selectors.DefaultSelector()
    for connection in revoked + others:
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
    wanted, closed, wrong = set(revoked), [], 0
    start = time.monotonic()
    server.hang_up()
    while wanted and time.monotonic() - start < 30:
        for key, _ in selector.select(1):
            if ended(key.fileobj):
                closed.append(time.monotonic() - start)
                wrong += key.fileobj not in wanted
                wanted.discard(key.fileobj)
                selector.unregister(key.fileobj)
    alive = sum(answers(connection) for connection in others)
    for connection in revoked + others:
        connection.close()
    row = {"revoked": len(revoked), "closed": len(revoked) - len(wanted), "others": len(others), "others_alive": alive, "others_closed": wrong}
    row |= {"first_ms": round(min(closed) * 1000), "median_ms": round(statistics.median(closed) * 1000), "last_ms": round(max(closed) * 1000)}
    print(row, flush=True)
    return row


def connect(server, who):
    context = CONTEXTS.get(who)
    if context is None:
        context = CONTEXTS[who] = ssl.create_default_context(cafile="pki/server-ca.pem")
        context.load_cert_chain(f"pki/{who}.pem", f"pki/{who}.key")
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port), timeout=10), server_hostname=NAME)
    if not answers(connection):
        sys.exit(f"error: client {who} was not served")
    return connection


def answers(connection):
    try:
        connection.setblocking(True)
        connection.settimeout(10)
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"Hello, World!"):
            received = connection.recv(4096)
            if not received:
                return False
            answer += received
        return True
    except OSError:
        return False


def ended(connection):
    try:
        return connection.recv(4096) == b""
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True


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


CONTEXTS = {}

if __name__ == "__main__":
    main()
