"""The load: what is asked of the servers, and loadgen, which asks it from a core of its own.

The only place, beside experiments/scale.py and soak.py, that knows loadgen's options and its JSON.
"""

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


FULL = "full handshake and a request"
ML_KEM = "X25519MLKEM768"
WORKS = {
    work.name: work
    for work in (
        Work("handshake", f"{FULL}, P-256 client", "handshake"),
        Work("handshake-rsa", f"{FULL}, RSA-2048 client", "handshake", client="rsa"),
        Work("handshake-ml-kem", f"{FULL}, P-256 client, {ML_KEM}", "handshake", group=ML_KEM.lower()),
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
    more = ("--warm-up", "0ms", *more)
    return begin(binaries, server, work, seconds=seconds, requests=requests, more=more).report()


def begin(binaries, server, work, *, seconds=None, requests=None, more=(), name="loadgen"):
    """Starts loadgen; the caller waits by `report()`."""
    program = ["taskset", "-c", str(LOAD_CORE), Path(binaries) / "loadgen"]
    asked = f"""
        --address 127.0.0.1:{server.port} --sni {NAME} --ca pki/server-ca.pem
        --cert pki/{work.client}.pem --key pki/{work.client}.key --path {work.path} --mode {work.mode}
        --connections {work.connections} --streams {STREAMS} --cores 1
        --tls 1.3 --group {work.group} --cipher aes128 --json {name}.json --quiet
    """
    length = f"--duration {round(seconds * 1000)}ms" if requests is None else f"--requests {requests}"
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen([*program, *asked.split(), *more, *length.split()], text=True, **streams)
    return Running(process, Path(f"{name}.json"))


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
    """Faults without a failed operation: a server that hung, operations never started.

    Older loadgens do not tell.
    """
    verdict = found.get("verdict", {})
    return verdict.get("unexpected", []) if found["operations"]["ok"] else []


def complaint(failures, not_resumed):
    said = [f"{failure['count']} times {failure['kind']}" for failure in failures]
    return "; ".join(said + ([f"{not_resumed} sessions were not resumed"] if not_resumed else []))
