"""The tree as the checks see it: tracked files, Rust sources with their comments blanked, findings."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOREIGN = "server/vendor/"  # others' code under their own rules; what we changed in it is listed beside it
CRATES = "server/crates/"

findings = []


def complain(place, why):
    findings.append(f"{place}: {why}")


class Source:
    """A Rust file, its comments blanked out; `shipped` ends where its unit tests begin."""

    def __init__(self, path):
        self.path = path
        self.text = (ROOT / path).read_text()
        self.code = re.sub(r"(?m)(^|\s)//.*$", r"\1", self.text)
        tests = r"(?m)^#\[cfg\(test\)\]\s*\n(?:#\[.*\]\s*\n)*\s*mod \w+ \{"
        self.shipped = re.split(tests, self.code)[0]
        self.is_test = bool(re.search(r"(^|/)tests?(\.rs$|/)|_tests\.rs$", path))

    def complain(self, pattern, why, text=None):
        for number, line in enumerate((text if text is not None else self.code).splitlines(), 1):
            if re.search(pattern, line):
                complain(f"{self.path}:{number}", why)


def sources():
    """Every Rust source. `#[cfg(test)] mod name;` makes name.rs a test, whatever it is called."""
    found = {path: Source(path) for path in tracked() if path.endswith(".rs")}
    module = r"(?m)^#\[cfg\(test\)\]\s*\n((?:#\[.*\]\s*\n)*)\s*(?:pub(?:\([a-z]+\))? )?mod (\w+);"
    for source in found.values():
        for attributes, name in re.findall(module, source.code):
            for path in places(source.path, attributes, name):
                if path in found:
                    found[path].is_test = True
    return list(found.values())


def places(path, attributes, name):
    """The paths at which a module `name` may be that is declared in `path`."""
    folder = re.sub(r"(/mod|/lib|/main)?\.rs$", "", path)
    yield from (f"{folder}/{name}.rs", f"{folder}/{name}/mod.rs")
    other = re.search(r'path = "([^"]+)"', attributes)
    if other:
        yield f"{path.rpartition('/')[0]}/{other.group(1)}"


def tracked():
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return [path for path in listed if path and not path.startswith(FOREIGN) and (ROOT / path).is_file()]


def block(name):
    """The lines of a block of ARCHITECTURE.md that is marked by `name`."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    return re.search(rf"(?ms)^```{name}\n(.*?)^```", text).group(1).splitlines()
