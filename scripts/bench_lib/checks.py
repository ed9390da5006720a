"""Checks of a server before its numbers count: it authenticates its clients, and can do the work at all.

A server that lets everybody in would win every table. The checks are curl's and loadgen's, two TLS libraries
that share nothing.
"""

import subprocess
from dataclasses import dataclass

from . import BODY, LARGE_BYTES, NAME, load

CLIENTS = {
    "client": True,
    "rsa": True,
    None: False,
    "untrusted": False,
}  # certificate: whether it is to be admitted
VERSIONS = ("--http1.1", "--http2")
TRIALS = 40  # operations of each work


@dataclass
class Passed:
    """How often the server did what it should; it always did, or there would be none of this."""

    admitted: int = 0
    refused: int = 0


def authenticates(server):
    """Ends the run unless the server admits every good client and no other, over both versions of HTTP."""
    passed = Passed()
    for client, expected in CLIENTS.items():
        for version in VERSIONS:
            body, said = ask(server, client, version, "/")
            if (body == BODY) != expected:
                wrong = f"{'refused' if expected else 'admitted'} the client {client} ({version})"
                raise SystemExit(f"error: {server.name} {wrong}: {body[:100]} {said}")
            passed.admitted += expected
            passed.refused += not expected
    return passed


def large_answer(server):
    """Ends the run unless the large answer is as large as it should be."""
    body, said = ask(server, "client", "--http1.1", "/large")
    if len(body) != LARGE_BYTES:
        wrong = f"answered /large with {len(body)} bytes instead of {LARGE_BYTES}"
        raise SystemExit(f"error: {server.name} {wrong}: {body[:100]} {said}")


def ask(server, client, version, path):
    identity = ["--cert", f"pki/{client}.pem", "--key", f"pki/{client}.key"] if client else []
    target = ["--resolve", f"{NAME}:{server.port}:127.0.0.1", f"https://{NAME}:{server.port}{path}"]
    command = [
        "curl",
        "-sS",
        "--max-time",
        "10",
        version,
        "--cacert",
        "pki/server-ca.pem",
        *identity,
        *target,
    ]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return answer.stdout, answer.stderr.strip()


def try_works(binaries, server, works):
    """Tries each work for a moment.

    What fails is noted as missing, with what the generator saw. A resumption that is none fails, too.
    """
    for work in works:
        if work.name not in server.missing:
            report = load.run(binaries, server, work, requests=TRIALS, more=("--timeout", "5s"))
            if report.errors or not report.operations:
                why = report.complaint or "nothing came to an end"
                server.missing[work.name] = f"tried, and failed: {why}"
