"""Circles of imports: in some folders, each file can be read before those that use it."""

import re

from .layers import heads
from .tree import complain

# Folders of server/src.
WITHOUT_CIRCLES = (
    *("admission", "app", "backstage", "cli", "control_socket", "http", "operations", "origin"),
    *("runtime", "snapshot", "tls", "worker"),
)
CRATES = ("config", "functions", "state", "trust")  # crates of server/crates
WITHIN_CRATES = ("functions/src/viewer", "state/src/key_values")  # folders of these


def check_circles(sources):
    """In these crates and folders, no file imports another that, over however many others, imports it."""
    folders = [(f"server/src/{name}/", "mod.rs", f"crate::{name}::") for name in WITHOUT_CIRCLES]
    folders += [(f"server/crates/{name}/src/", "lib.rs", "crate::") for name in CRATES]
    for name in WITHIN_CRATES:
        folders.append((f"server/crates/{name}/", "mod.rs", f"crate::{name.split('/')[-1]}::"))
    for folder, root, prefix in folders:
        uses = imports_within(folder, root, prefix, sources)
        while leaves := [module for module, used in uses.items() if not used & uses.keys()]:
            for leaf in leaves:
                del uses[leaf]
        if uses:
            # Every module that is left uses one that is left too, so this walk comes back to where it was.
            way = [min(uses)]
            while (following := min(uses[way[-1]] & uses.keys())) not in way:
                way.append(following)
            circle = way[way.index(following) :] + [following]
            complain(folder.rstrip("/"), f"a circle of imports: {' > '.join(circle)}")


def imports_within(folder, root, prefix, sources):
    """The modules of a folder; for each the siblings that it names, itself or by what `root` exports."""
    inside = [source for source in sources if source.path.startswith(folder)]
    inside = [(source.path.removeprefix(folder).split("/"), source) for source in inside]
    uses = {place[0].removesuffix(".rs"): set() for place, _ in inside if place != [root]}
    exported = {}
    for place, source in inside:
        if place == [root]:
            for module, names in re.findall(r"(?s)\buse (?:self::)?(\w+)::(\w+|\{.*?\});", source.shipped):
                exported |= {name: module for name in re.findall(r"\w+", names)}
    for place, source in inside:
        if place != [root]:
            up = "super::" * (1 if place[-1] != "mod.rs" else 0) + "super::" * (len(place) - 1)
            named = set()
            for start in re.finditer(rf"(?<!::)\b(?:{up}|{prefix})(?=[\w{{])", source.shipped):
                rest = source.shipped[start.end() :]
                named |= heads(rest, 1) if rest.startswith("{") else {re.match(r"\w+", rest).group()}
            module = place[0].removesuffix(".rs")
            uses[module] |= ({exported.get(item, item) for item in named} & uses.keys()) - {module}
    return uses
