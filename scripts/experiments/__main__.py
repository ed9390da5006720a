"""The front door of all experiments: python3 -m experiments NAME [OPTION…].

Called by scripts/bench, which prepares what they need.

Owns: the names of the experiments and the options that all of them have. Each experiment is a module with
- its docstring, which is its --help,
- `TOPIC`, the end of its result folder's name; None where it writes no such folder,
- `add_options(parser)` and, if it has more to check than argparse can, `check(parser, options)`,
- `run(options)`, called in a temporary folder that it may fill; `large` is there.
"""

import argparse
import datetime
import os
import sys
from pathlib import Path

from bench_lib import LARGE_BYTES, machine
from bench_lib.server import end_in_order

from . import functions, instructions, peers, reload, scale, soak

EXPERIMENTS = {
    "peers": peers,
    "scale": scale,
    "reload": reload,
    "functions": functions,
    "instructions": instructions,
    "soak": soak,
}
REPOSITORY = Path(__file__).resolve().parent.parent.parent
PREPARED = ("work", "binaries", "yardsticks", "envoy")  # by scripts/bench: where it has put what it prepared


def main():
    name, *arguments = sys.argv[1:] or [""]
    if name not in EXPERIMENTS:
        sys.exit(f"error: {name!r} is no experiment; there are {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    options = parse(name, experiment, arguments)
    if options.needs:
        print(" ".join(getattr(options, "peers", [])))
        return
    end_in_order()
    os.chdir(options.work)
    Path("large").write_text("x" * LARGE_BYTES)  # the body of /large, for every server
    experiment.run(options)


def parse(name, experiment, arguments):
    parser = argparse.ArgumentParser(
        prog=f"scripts/bench {name}",
        description=experiment.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    experiment.add_options(parser)
    if experiment.TOPIC:
        parser.add_argument("--topic", default=experiment.TOPIC, help="end of the result folder's name")
        results = "parent of the result folder (default: bench-results)"
        parser.add_argument("--results", type=Path, help=results)
    parser.add_argument("--needs", action="store_true", help=argparse.SUPPRESS)  # only print what to prepare
    for prepared in PREPARED:
        parser.add_argument(f"--{prepared}", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not options.needs and options.work is None:
        parser.error("run scripts/bench, which prepares what this needs")
    complete(options)
    getattr(experiment, "check", lambda *_: None)(parser, options)
    if experiment.TOPIC:
        options.folder = folder(parser, options)
    return options


def complete(options):
    options.repository = REPOSITORY
    options.commit = machine.first_line(["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"])
    options.command = os.environ.get("BENCH_COMMAND", "scripts/bench")
    options.is_kept = not getattr(options, "quick", False)  # a quick look may be written over
    if options.binaries:
        options.binaries = options.binaries.resolve()


def folder(parser, options):
    default = REPOSITORY / ("bench-results" if options.is_kept else "target/bench")
    found = (options.results or default).resolve() / f"{datetime.date.today()}-{options.topic}"
    if found.exists() and options.is_kept:
        parser.error(f"--topic: {found} exists, and results are kept: choose another one")
    return found


if __name__ == "__main__":
    main()
