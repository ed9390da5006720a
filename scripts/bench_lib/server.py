"""A server process: started with its configuration, pinned, measured, ended.

What the servers are is told in peers.py and bothways.py.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from .machine import SERVER_CORE, process_seconds

POLL_SECONDS = 0.02
START_SECONDS = 60  # a list of ten million serial numbers takes its time
STOP_SECONDS = 40  # more than any of them waits for clients


@dataclass
class Server:
    """`command` runs in the foreground, listens on `port` of 127.0.0.1 and ends on SIGTERM."""

    name: str
    port: int
    command: list
    configuration: str
    version: str = ""
    pinned: bool = True
    missing: dict = field(default_factory=dict)  # work: why this server cannot do it
    process: subprocess.Popen = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def log(self):
        return Path(f"{self.name}.log")

    def start(self):
        pinned = ["taskset", "-c", str(SERVER_CORE)] if self.pinned else []
        with open(self.log, "w") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            command = [*pinned, *map(str, self.command)]
            self.process = subprocess.Popen(command, start_new_session=True, **streams)
        self.until(self.listens, "did not start listening", START_SECONDS)

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def said(self, words):
        """How many lines of its log have these words."""
        return sum(words in line for line in self.log.read_text().splitlines())

    def wait_for(self, words, already):
        """Until its log has these words more than so many times."""
        self.until(lambda: self.said(words) > already, f"did not say {words!r}", START_SECONDS)

    def until(self, condition, complaint, seconds_max):
        end = time.monotonic() + seconds_max
        while time.monotonic() < end and self.process.poll() is None:
            if condition():
                return
            time.sleep(POLL_SECONDS)
        raise SystemExit(f"error: {self.name} {complaint}:\n{self.log.read_text()}")

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def pids(self):
        """The processes of its group: most are one, nginx is a master and a worker."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) == self.process.pid:
                        yield int(entry.name)
                except OSError:
                    pass  # it ended meanwhile

    def cpu_seconds(self):
        return sum(process_seconds(pid) for pid in self.pids())

    def resident_bytes(self):
        """Proportional set size; memory that the kernel holds for its sockets is not in it."""
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total


def end_in_order():
    """Makes SIGTERM an exception, so that whoever has started servers stops them.

    They are groups of their own, which no terminal ends.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended by SIGTERM"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
