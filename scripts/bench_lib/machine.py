"""The machine under measurement: its cores, CPU clocks, who else is using it, and what it is called.

Server and generator have a core each. Times are seconds.
"""

import os
import platform
import subprocess
import time
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
OTHERS_MAX = 0.05  # of a core
SAMPLE_SECONDS = 0.3
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def process_seconds(pid):
    """CPU time of a process with all its threads, ended ones too, to the nanosecond; 0 when it is gone."""
    try:
        return time.clock_gettime(~pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names
    except OSError:
        return 0.0


class CoreTimes:
    """Time of one core until now: `busy`, for whomever, and `stolen`, by the hypervisor."""

    def __init__(self, core):
        for line in Path("/proc/stat").read_text().splitlines():
            fields = line.split()
            if fields[0] == f"cpu{core}":
                self.busy = sum(int(fields[column]) for column in (1, 2, 3)) / TICKS_PER_SECOND
                self.stolen = int(fields[8]) / TICKS_PER_SECOND
                return
        raise SystemExit(f"error: this machine has no core {core}; two are needed")

    def since(self, before):
        """Busy and stolen time since `before`."""
        return self.busy - before.busy, self.stolen - before.stolen


def wait_for_quiet(seconds_max):
    """Waits until others use less than OTHERS_MAX of either core, for so long at most.

    Nothing of ours may be at work. Gives the seconds it took.
    """
    start = time.monotonic()
    while time.monotonic() - start < seconds_max and busiest_share() >= OTHERS_MAX:
        pass
    return time.monotonic() - start


def busiest_share():
    before, start = [CoreTimes(core) for core in (SERVER_CORE, LOAD_CORE)], time.monotonic()
    time.sleep(SAMPLE_SECONDS)
    elapsed = time.monotonic() - start
    cores = zip((SERVER_CORE, LOAD_CORE), before)
    return max(sum(CoreTimes(core).since(then)) / elapsed for core, then in cores)


def description():
    """Processor, kernel and libraries, one line each."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(models, platform.machine())
    siblings = Path(f"/sys/devices/system/cpu/cpu{SERVER_CORE}/topology/thread_siblings_list")
    shared = siblings.exists() and str(LOAD_CORE) in siblings.read_text().replace("-", ",").strip().split(",")
    relation = "which are no threads of one core, if that can be believed of a virtual machine"
    if shared:
        relation = "which are threads of one core and slow each other down"
    return [
        f"{model}, {os.cpu_count()} CPUs, Linux {platform.release()}",
        f"server on CPU {SERVER_CORE}, generator on CPU {LOAD_CORE}, {relation}",
        first_line(["openssl", "version"]),
    ]


def load_average():
    return Path("/proc/loadavg").read_text().strip()


def first_line(command):
    """The first line that `command` prints, wherever to."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return ((result.stdout or result.stderr).strip().splitlines() or ["unknown"])[0]
