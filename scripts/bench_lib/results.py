"""What a run leaves behind: raw.csv, summary.md, plot.svg and README.md in a folder of its own."""

import csv

from . import machine, plots
from .load import WORKS
from .machine import OTHERS_MAX
from .plots import figure
from .rounds import COLUMNS, counted, disturbance, spread
from .table import table

QUICK = "**A quick look, to see that it works: its numbers are no result.**"
WIDE = 0.2  # a row whose highest and lowest are further apart than this, against the median, is named


class Run:
    """All that was measured.

    `columns` are the servers of the table, `beside` those that show what a setting of Bothways costs.
    """

    def __init__(self, options, servers, columns, beside, rows, memory, passed, missing):
        self.options, self.servers, self.columns, self.beside = options, servers, columns, beside
        self.rows, self.memory, self.passed, self.missing = rows, memory, passed, missing
        self.counted = counted(rows)

    def write(self):
        folder = self.options.folder
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / "raw.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
        summary = self.summary()
        (folder / "summary.md").write_text(summary)
        (folder / "README.md").write_text(self.description())
        title = "Server CPU time per operation: median, lowest and highest round"
        (folder / "plot.svg").write_text(plots.bars(title, self.panels()))
        print(f"\n{summary}\nbench: {len(self.rows)} measurements in {folder}")

    def summary(self):
        lines = [
            "# Server CPU time per operation",
            "",
            "µs, median (lowest to highest) of the rounds; operations per second in brackets.",
            "Lower is better.",
            "",
            *self.table(self.columns, self.options.works),
            "",
        ]
        if self.beside:
            columns = ["bothways", *self.beside]
            measured = lambda work: any(self.spread(work, name) for name in self.beside)
            works = list(filter(measured, self.options.works))
            lines += ["## Bothways in other settings", "", *self.table(columns, works), ""]
        return "\n".join(lines + self.notes() + self.quality()) + "\n"

    def table(self, columns, works):
        rows = [[WORKS[work].title, *(self.cell(work, name) for name in columns)] for work in works]
        if columns == self.columns:
            held = [f"{self.memory[name] / 1000:.1f}" for name in columns]
            rows.append(["memory of an idle connection, kB", *held])
        return table({title: place for place, title in enumerate(["work", *columns])}, rows)

    def cell(self, work, column):
        found = self.spread(work, column)
        if found is None:
            return "–" if (column, work) in self.missing else ""
        median, lowest, highest, rate = found
        return f"**{figure(median)}** ({figure(lowest)}–{figure(highest)}) [{rate:,.0f}/s]"

    def spread(self, work, column):
        return spread(self.counted, work, column)

    def notes(self):
        """Why a cell has no number."""
        lines = [f"- –: {name}, {work}: {why}." for (name, work), why in self.missing.items()]
        return lines + [""] if lines else []

    def quality(self):
        disturbed = [row for row in self.counted if disturbance(row) > OTHERS_MAX]
        failed = sum(row["errors"] for row in self.counted)
        count = f"{len(self.rows)} measurements {len(self.counted)} count"
        lines = [f"Of {count}: the least disturbed of those that were repeated."]
        if disturbed:
            others = f"others took more than {OTHERS_MAX:.0%} of a core"
            lines.append(f"**In {len(disturbed)} of them {others}:** {places(disturbed)}.")
        if failed:
            lines.append(f"**{failed} operations failed in them.**")
        return lines

    def panels(self):
        for work in self.options.works:
            yield f"{WORKS[work].title}, µs", list(self.bars(work))
        if self.memory:
            held = {name: self.memory[name] / 1000 for name in self.columns if name in self.memory}
            yield "memory of an idle connection, kB", [(name, *[size] * 3) for name, size in held.items()]

    def bars(self, work):
        for name in (*self.columns, *self.beside):
            found = self.spread(work, name)
            if found:
                yield name, *found[:3]
            elif name in self.columns:
                yield name, None, "see summary.md"

    def description(self):
        options = self.options
        length = f"{options.rounds} rounds of {options.seconds:g} s each, {options.warm_up:g} s of warm-up"
        text = [
            f"# {options.folder.name}",
            "",
            "Numbers: [summary.md](summary.md), [raw.csv](raw.csv), [plot.svg](plot.svg).",
            "Method: [the README above](../README.md).",
            "",
        ]
        text += [QUICK, ""] if options.quick else []
        text += [
            f"- Commit {options.commit}, made by `{options.command}`",
            *[f"- {line}" for line in machine.description()],
            f"- {length}; load average when it ended: {machine.load_average()}",
            "",
            *self.servers_shown(),
            "",
            "## What stands out",
            "",
            *self.stands_out(),
        ]
        for name, server in self.servers.items():
            configuration = server.configuration.strip().replace(str(options.work), "WORK")
            if "\n" in configuration:
                text += ["", f"## Configuration of {name}", "", "```", configuration, "```"]
        return "\n".join(text) + "\n"

    def servers_shown(self):
        columns = {
            "server": lambda name: name,
            "version": lambda name: self.servers[name].version,
            "good clients admitted": lambda name: self.passed[name].admitted,
            "missing and untrusted refused": lambda name: self.passed[name].refused,
        }
        return table(columns, self.servers)

    def stands_out(self):
        """What the numbers say by themselves; what it means is for somebody to write who has looked."""
        found = [line for work in self.options.works for line in self.beaten(work)]
        found += [line for work in self.options.works for line in self.wide(work)]
        return found or [
            "- Nothing: Bothways is the lowest of every row, and no row is wider than a fifth of its median."
        ]

    def beaten(self, work):
        ours = self.spread(work, "bothways")
        others = {name: self.spread(work, name) for name in self.columns if name != "bothways"}
        lower = {name: found[0] for name, found in others.items() if ours and found and found[0] < ours[0]}
        if lower:
            listed = ", ".join(
                f"{name} {figure(median)}" for name, median in sorted(lower.items(), key=lambda item: item[1])
            )
            yield f"- {WORKS[work].title}: Bothways takes {figure(ours[0])} µs; lower are {listed}."

    def wide(self, work):
        rows = {name: self.spread(work, name) for name in (*self.columns, *self.beside)}
        wide = [
            f"{name} ({figure(row[1])}–{figure(row[2])})"
            for name, row in rows.items()
            if row and row[2] - row[1] > WIDE * row[0]
        ]
        if wide:
            yield f"- {WORKS[work].title}: the rounds differ by more than a fifth for {', '.join(wide)}."


def places(rows):
    listed = sorted({f"{row['work']} of {row['server']}" for row in rows})
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
