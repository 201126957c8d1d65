# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench says at the end: tables, and everything as JSON."""
import dataclasses
import json

from table import Table

KERNEL, FUSE = "kernel", "fuse-overlayfs"
KINDS = {
    "goals": "Single workloads",
    "memory": "Memory of the daemon",
    "jobs": "Whole jobs",
}


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(value, other):
    return "-" if value is None or not other else f"{value / other:.2f}"


class Report:
    """Tables of one run. `subject` is the file system whose goals are judged: the first plyfs."""

    def __init__(self, results, titles, groups, facts):
        """TITLES: name to title of each file system, in the order of the columns."""
        self.results = results
        self.groups = groups
        self.facts = facts
        self.names = list(titles)
        self.titles = titles
        plyfs = [name for name in self.names if name.partition(":")[0] == "plyfs"]
        self.subject = plyfs[0] if plyfs else None

    def steps(self, kind):
        return [(group, step) for group in self.groups if group.kind == kind for step in group.steps]

    def kinds(self):
        return [kind for kind in KINDS if any(group.kind == kind for group in self.groups)]

    def columns(self, kind):
        """The file systems that have something in these rows."""
        steps = self.steps(kind)
        return [name for name in self.names
                if any(self.results.values(step.name, name) or (group.name, name) in self.results.failures
                       for group, step in steps)]

    def reference(self, step):
        return self.results.median(step, KERNEL), self.results.median(step, FUSE)

    # ---- goals

    def verdict(self, step):
        """met, missed, or - where there is no goal or nothing to compare with."""
        value = self.results.median(step.name, self.subject)
        limit = step.goal.limit(*self.reference(step.name)) if step.goal else None
        if value is None or limit is None:
            return "-"
        return "met" if value <= limit else "missed"

    def missed(self, kind):
        """(how many times the goal, step), the worst first."""
        found = []
        for _, step in self.steps(kind):
            if self.verdict(step) == "missed":
                limit = step.goal.limit(*self.reference(step.name))
                found.append((self.results.median(step.name, self.subject) / limit, step))
        return sorted(found, key=lambda pair: -pair[0])

    # ---- tables

    def cell(self, group, step, system):
        value, spread = self.results.median(step.name, system), self.results.spread(step.name, system)
        if value is None:
            return "failed" if (group.name, system) in self.results.failures else "-"
        return number(value) + (f" ({spread * 100:.0f}%)" if spread is not None else "")

    def times(self, kind):
        names = self.columns(kind)
        unit = " ms" if all(step.unit == "ms" for _, step in self.steps(kind)) else ""
        table = Table(f"{KINDS[kind]}: median{unit} (largest - smallest, of the median)",
                      ["", *[self.titles[name] for name in names], "to K", "to F", "goal", ""])
        for group, step in self.steps(kind):
            value = self.results.median(step.name, self.subject)
            kernel, fuse = self.reference(step.name)
            table.add(step.title, *[self.cell(group, step, name) for name in names], ratio(value, kernel),
                      ratio(value, fuse), step.goal.text(step.unit) if step.goal else "-", self.verdict(step))
        return table

    def cpu(self, kind):
        names = self.columns(kind)
        table = Table("CPU time, ms: client + daemon; the daemon's RSS at the end, MiB",
                      ["", *[self.titles[name] for name in names]])
        for _, step in self.steps(kind):
            table.add(step.title, *[self.cpu_cell(step.name, name) for name in names])
        return table

    def cpu_cell(self, step, system):
        user, sys, daemon, rss = (self.results.middle_of(step, system, f) for f in ("user", "sys", "daemon", "rss"))
        if user is None:
            return "-"
        text = f"{user + sys:.0f}"
        if daemon is not None:
            text += f" + {daemon:.0f}"
        return text + (f", {rss / 1024:.0f} MiB" if rss is not None else "")

    def requests(self, kind):
        table = Table("FUSE requests by type (FORGET and INIT apart)", ["", "", "all", "of which"])
        for _, step in self.steps(kind):
            for name, seen in self.results.requests.get(step.name, {}).items():
                most = sorted(seen.items(), key=lambda pair: -pair[1])
                table.add(step.title, name, sum(seen.values()), ", ".join(f"{op} {n}" for op, n in most[:7]))
        return table

    def tables(self, kind):
        found = [self.times(kind)]
        if kind != "memory":
            found.append(self.cpu(kind))
            found.append(self.requests(kind))
        return [table for table in found if table.rows]

    # ---- the whole

    def fact_lines(self):
        return [f"{what}: {value}" for what, value in self.facts.items()]

    def bad_lines(self, kind):
        """Goals that were missed, and what could not be measured."""
        lines = [f"missed: {step.title}: {times:.1f} times the goal ({step.goal.text(step.unit)})"
                 for times, step in self.missed(kind)]
        names = {group.name for group, _ in self.steps(kind)}
        return lines + [f"failed: {group} on {system}: {why}"
                        for (group, system), why in self.results.failures.items() if group in names]

    def text(self):
        parts = ["\n".join(self.fact_lines()) + "\n"]
        for kind in self.kinds():
            parts += [table.text() for table in self.tables(kind)]
            bad = self.bad_lines(kind)
            parts += ["\n".join(bad) + "\n"] if bad else []
        return "\n".join(parts)

    def markdown(self, kind, plot=None):
        parts = ["\n".join(f"* {line}" for line in self.fact_lines()) + "\n"]
        if plot:
            parts.append(f"![{KINDS[kind]}]({plot})\n")
        parts += [table.markdown() for table in self.tables(kind)]
        parts.append("\n".join(f"* {line}" for line in self.bad_lines(kind)))
        return "\n".join(parts)

    def json(self):
        rows = []
        for group in self.groups:
            for step in group.steps:
                kernel, fuse = self.reference(step.name)
                goal = step.goal
                rows.append({
                    "group": group.name, "step": step.name, "kind": group.kind, "title": step.title,
                    "unit": step.unit,
                    "goal": {"factor": goal.factor, "base": goal.base, "limit": goal.limit(kernel, fuse)}
                    if goal else None,
                    "verdict": self.verdict(step),
                    "samples": {system: [dataclasses.asdict(s) for s in samples]
                                for system, samples in self.results.samples.get(step.name, {}).items()},
                    "requests": self.results.requests.get(step.name, {}),
                })
        failures = [{"group": g, "system": s, "why": why} for (g, s), why in self.results.failures.items()]
        return json.dumps({"facts": self.facts, "subject": self.subject, "systems": self.titles,
                           "rows": rows, "failures": failures}, indent=1, ensure_ascii=False) + "\n"
