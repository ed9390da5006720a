"""Dependencies point down: between the folders of server/src, and between the crates of server/crates."""

import re

from .tree import CRATES, ROOT, block, complain

TEST_CRATES = {"test-pki"}  # named by unit tests alone
WHERE = "ARCHITECTURE.md, Dependencies point down"
SOCKETS_AND_THREADS = r"\b(Tcp|Udp|Unix)(Stream|Listener|Socket|Datagram)\b|\bthread::(spawn|Builder|scope)\b"
FILE_SYSTEM = r"\bstd::fs\b|\bstd::os::unix::fs\b"
FAR_UP = (
    r"\bsuper::super::super\b",
    "name the module from the crate's root, so that the dependency can be seen",
)


def check_layers(sources):
    rank, restricted = layers()
    for source in sources:
        module = module_of(source.path)
        if module not in rank:
            complain(source.path, f"the module {module} has no place in the layers of ARCHITECTURE.md")
            continue
        if source.is_test:
            continue
        for used in named_modules(source.shipped) - {module}:
            if used not in rank:
                continue  # an item of the crate root
            if used in restricted and module not in restricted[used]:
                only = " ".join(sorted(restricted[used]))
                complain(source.path, f"{module} names {used}, which is only for {only}")
            elif used not in restricted and rank[used] <= rank[module]:
                complain(source.path, f"{module} names {used}, which is not below it ({WHERE})")
        source.complain(*FAR_UP, source.shipped)


def layers():
    """The block's lines, top first: module → rank, and module → the only modules that may name it."""
    rank, restricted = {}, {}
    for number, line in enumerate(block("layers")):
        names, _, users = line.partition(" only from:")
        for name in names.split():
            rank[name] = number
            if users:
                restricted[name] = set(users.split())
    return rank, restricted


def module_of(path):
    return path.removeprefix("server/src/").split("/")[0].removesuffix(".rs")


def named_modules(code):
    names = set(re.findall(r"\bcrate::(\w+)", code))
    for match in re.finditer(r"\bcrate::\{", code):
        names |= heads(code, match.end())
    return names


def heads(code, start):
    """The first segments of a `crate::{a::B, c::{D, E}}` list whose first character is at `start`."""
    depth, item, items = 1, "", []
    for character in code[start:]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0 or (depth == 1 and character == ","):
            items.append(item)
            item = ""
        else:
            item += character
        if depth == 0:
            break
    return {match.group(1) for match in (re.match(r"\s*(\w+)", item) for item in items) if match}


def check_crates(sources):
    """The `crates` block: which crate of ours each crate may name, whoever names it and in whichever form."""
    allowed = crates()
    for manifest in sorted((ROOT / CRATES).glob("*/Cargo.toml")):
        name = manifest.parent.name
        if name not in allowed:
            complain(f"{CRATES}{name}", "the crate has no line in the block `crates` of ARCHITECTURE.md")
            continue
        shipped, _, tested = manifest.read_text().partition("[dev-dependencies]")
        named = set(re.findall(r"(?m)^bothways-([\w-]+)", shipped))
        named |= set(re.findall(r"(?m)^bothways-([\w-]+)", tested)) - TEST_CRATES
        for other in sorted(named - allowed[name]):
            complain(f"{CRATES}{name}/Cargo.toml", f"names bothways-{other} ({WHERE})")
    for source in sources:
        crate = re.match(CRATES + r"([^/]+)/src/", source.path)
        if crate and not source.is_test:
            why = "no crate of ours opens a socket or starts a thread"
            source.complain(SOCKETS_AND_THREADS, why, source.shipped)
            if crate.group(1) != "state":
                source.complain(FILE_SYSTEM, "only the crate state touches files", source.shipped)
            source.complain(*FAR_UP, source.shipped)


def crates():
    """The block's lines: crate → the crates of ours that it may name."""
    block = re.search(r"(?ms)^```crates\n(.*?)^```", (ROOT / "ARCHITECTURE.md").read_text())
    lines = (line.partition(":") for line in block.group(1).splitlines())
    return {name.strip(): set(others.split()) for name, _, others in lines}
