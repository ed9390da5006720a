"""Connections that are held open by Python's own TLS: slow to make, cheap to keep, not for speed."""

import socket
import ssl
import time
from functools import cache

from . import BODY, NAME

SETTLE_SECONDS = 6  # for servers that give memory back when nothing is asked of a connection
TIMEOUT_SECONDS = 10


@cache
def context(client):
    made = ssl.create_default_context(cafile="pki/server-ca.pem")
    made.load_cert_chain(f"pki/{client}.pem", f"pki/{client}.key")
    return made


def connect(port, client="client"):
    """A connection on which one request was answered."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
    connection = context(client).wrap_socket(plain, server_hostname=NAME)
    if not answers(connection):
        raise SystemExit(f"error: client {client} was not served on a new connection")
    return connection


def is_admitted(port, client="client"):
    """Whether a new connection is served; it is closed after that."""
    try:
        plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
        with context(client).wrap_socket(plain, server_hostname=NAME) as connection:
            return answers(connection)
    except OSError:
        return False


def answers(connection):
    """Whether one more request on an open connection is answered."""
    try:
        connection.setblocking(True)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(BODY.encode()):
            received = connection.recv(4096)
            if not received:
                return False
            answer += received
        return True
    except OSError:
        return False


def has_ended(connection):
    """Whether the server has closed a connection that is set not to block."""
    try:
        return connection.recv(4096) == b""
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True


def idle_connection_bytes(server, connections):
    """Memory of one more connection that has been idle for a while after one request.

    It is the growth over so many of them, divided.
    """
    opened = []
    try:
        for _ in range(connections // 5):  # what the server allocates once
            opened.append(connect(server.port))
        time.sleep(SETTLE_SECONDS)
        before = server.resident_bytes()
        for _ in range(connections):
            opened.append(connect(server.port))
        time.sleep(SETTLE_SECONDS)
        return (server.resident_bytes() - before) / connections
    finally:
        for connection in opened:
            connection.close()
