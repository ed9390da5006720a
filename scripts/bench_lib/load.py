"""What is asked of the servers, and loadgen, which asks it from a core of its own. The only place that knows loadgen's options and its JSON."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import NAME
from .machine import LOAD_CORE

STREAMS = 16


@dataclass(frozen=True)
class Work:
    """One operation over and over, by so many connections at a time."""

    name: str
    title: str
    mode: str
    client: str = "client"
    group: str = "x25519"
    path: str = "/"
    connections: int = 16


WORKS = {
    work.name: work
    for work in (
        Work("handshake", "full handshake and a request, P-256 client", "handshake"),
        Work("handshake-rsa", "full handshake and a request, RSA-2048 client", "handshake", client="rsa"),
        Work("handshake-ml-kem", "full handshake and a request, P-256 client, X25519MLKEM768", "handshake", group="x25519mlkem768"),
        Work("resumed", "resumed handshake and a request", "resume"),
        Work("keep-alive", "HTTP/1.1 request, 13 bytes, keep-alive", "keepalive"),
        Work("h2", f"HTTP/2 request, 13 bytes, 16 connections of {STREAMS} streams", "h2"),
        Work("large", "HTTP/1.1 request, 100 kB, keep-alive", "keepalive", path="/large"),
    )
}


@dataclass(frozen=True)
class Report:
    operations: int
    errors: int
    complaint: str
    p50_us: float  # None, as those below, where too few operations came to an end
    p99_us: float
    max_us: float


def run(binaries, server, work, *, seconds=None, requests=None, more=()):
    """One run to its end, without a warm-up of its own: CPU time is read around the whole of it."""
    process = begin(binaries, server, work, seconds=seconds, requests=requests, more=("--warm-up", "0ms", *more))
    return process.report()


def begin(binaries, server, work, *, seconds=None, requests=None, more=(), name="loadgen"):
    """Starts loadgen; the caller waits by `report()`."""
    command = ["taskset", "-c", str(LOAD_CORE), str(Path(binaries) / "loadgen"), "--address", f"127.0.0.1:{server.port}", "--sni", NAME]
    command += ["--ca", "pki/server-ca.pem", "--cert", f"pki/{work.client}.pem", "--key", f"pki/{work.client}.key", "--path", work.path]
    command += ["--mode", work.mode, "--connections", str(work.connections), "--streams", str(STREAMS)]
    command += ["--tls", "1.3", "--group", work.group, "--cipher", "aes128", "--cores", "1", "--json", f"{name}.json", "--quiet", *more]
    command += ["--duration", f"{round(seconds * 1000)}ms"] if requests is None else ["--requests", str(requests)]
    return Running(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True), Path(f"{name}.json"))


class Running:
    def __init__(self, process, path):
        self.process, self.path = process, path

    def report(self):
        _, complaints = self.process.communicate()
        if self.process.returncode not in (0, 1):
            raise SystemExit(f"error: loadgen: {complaints.strip()}")
        found = json.loads(self.path.read_text())
        operations, latency = found["operations"], found["latency_us"]["operation"] or {}
        errors, unexpected = operations["failed"] + operations["not_resumed"], left_undone(found)
        said = complaint(found["failures"], operations["not_resumed"])
        return Report(
            operations=operations["ok"],
            errors=errors or len(unexpected),
            complaint=said or "; ".join(unexpected),
            p50_us=latency.get("p50"),
            p99_us=latency.get("p99"),
            max_us=latency.get("max"),
        )


def left_undone(found):
    """What did not end as expected though nothing failed: a server that hung, operations never started. Older loadgens do not tell."""
    verdict = found.get("verdict", {})
    return verdict.get("unexpected", []) if found["operations"]["ok"] else []


def complaint(failures, not_resumed):
    said = [f"{failure['count']} times {failure['kind']}" for failure in failures]
    return "; ".join(said + ([f"{not_resumed} sessions were not resumed"] if not_resumed else []))
