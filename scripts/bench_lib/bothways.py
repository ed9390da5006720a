"""Bothways as it is measured: one configuration, and the settings in which servers of a run differ."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import BODY, NAME
from .machine import SERVER_CORE, first_line
from .pki import unused_serials
from .server import Server, free_port

TEMPLATE = """
[runtime]
cores = {cores}
driver = "{driver}"
{tables}
[[listeners]]
address = "127.0.0.1:{port}"
[[trust_stores]]
name = "partners"
ca_bundle = "pki/root.pem"
revocations = [{revocations}]
[[distributions]]
id = "EBENCH"
aliases = ["{name}"]
certificate = "pki/server.pem"
private_key = "pki/server.key"
viewer_mtls = {{ mode = "required", trust_store = "partners"{viewer_mtls} }}
origins = [
  {{ id = "small", fixed_response = {{ status = 200, body = "{body}" }} }},
  {{ id = "large", fixed_response = {{ status = 200, body_file = "large" }} }},
]
behaviors = [
  {{ path_pattern = "/large", origin = "large" }},
  {{ path_pattern = "*", origin = "small"{behavior} }},
]
[logs.connection]
format = "json"
sink = {{ file = "{records}" }}
"""
REVOCATIONS = '{{ file = "{file}", may_be_empty = true }}'


@dataclass(frozen=True)
class Settings:
    """What may differ between servers of a run.

    `tables` is text before the listeners; the other texts continue the table that they are named after.
    `revocations` are files, each of which may be empty.
    """

    cores: str = f"[{SERVER_CORE}]"
    driver: str = "auto"
    tables: str = ""
    revocations: tuple = ()
    viewer_mtls: str = ""
    behavior: str = ""
    records: str = ""  # default: a file of the server's own


def make(binaries, name="bothways", settings=Settings(), pinned=True):
    port = free_port()
    configuration = TEMPLATE.format(
        port=port,
        name=NAME,
        body=BODY,
        cores=settings.cores,
        driver=settings.driver,
        tables=settings.tables.strip(),
        revocations=", ".join(REVOCATIONS.format(file=file) for file in settings.revocations),
        viewer_mtls=settings.viewer_mtls,
        behavior=settings.behavior,
        records=settings.records or f"{name}-connection.log",
    )
    Path(f"{name}.toml").write_text(configuration)
    program = Path(binaries) / "bothways"
    return Server(
        name,
        port,
        [program, "serve", "--config", f"{name}.toml"],
        configuration,
        first_line([program, "--version"]),
        pinned,
    )


def kvs(server, command, store, *arguments):
    """`bothways kvs COMMAND` to a running server that has a control socket."""
    program, config = server.command[0], server.command[-1]
    subprocess.run(
        [program, "kvs", command, "--config", config, store, *arguments], check=True, capture_output=True
    )


def serial_list(count):
    """A file of so many serial numbers, none of them in use."""
    path = Path(f"revoked-{count}.txt")
    if not path.exists():
        with open(path, "w") as file:
            file.writelines(f"{serial}\n" for serial in unused_serials(count))
    return path


def store_file(name, entries=98_000):
    """The import file of a key-value store just below its limit of 5 MB: serial numbers that nobody has."""
    lines = [
        f'{{"key":"{number * 0x9E3779B97F4A7C15 % 2**120:030x}","value":""}}' for number in range(entries)
    ]
    Path(name).write_text('{"data":[\n' + ",\n".join(lines) + "\n]}\n")
