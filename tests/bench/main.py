# SPDX-License-Identifier: Apache-2.0
"""scripts/bench, once it runs in namespaces of its own."""
import argparse
import json
import os
import sys
import time

import bench
import data
import jobs
import machine
import rows
import svg
import systems
from report import KINDS, Report
from results import Results
from table import replace_section

GROUPS = (*rows.GOALS, *rows.MEMORY, *jobs.JOBS)

OUTPUTS = ("--json", "--svg", "--markdown", "--data")


def parse(argv):
    names = ", ".join(group.name for group in GROUPS)
    p = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Compares plyfs with other file systems, side by side, in interleaved rounds.",
        epilog=f"Rows: {names}. Collections of rows: goals (the default), memory, jobs, all. File systems: "
        f"{', '.join(systems.NAMES)}; plyfs:OPTION+OPTION... mounts plyfs with options of its own, and "
        "@haltpoll=NS and @enable_uring=Y|N among them set the machine for its turns. Needs root.")
    p.add_argument("--rows", default="goals", help="groups of rows, separated by commas")
    p.add_argument("--systems", help=f"file systems, separated by commas (default: {','.join(systems.DEFAULT)})")
    p.add_argument("--rounds", type=int, default=3, help="of each row (default: 3)")
    p.add_argument("--slow-rounds", type=int, default=1,
                   help="of FUSE file systems other than plyfs, which take minutes (default: 1)")
    p.add_argument("--limit", type=int, default=900, metavar="SECONDS", help="for one workload (default: 900)")
    p.add_argument("--count", choices=("plyfs", "all", "none"), default="plyfs",
                   help="whose requests are counted, in a round of its own (default: plyfs)")
    p.add_argument("--matrix", action="store_true",
                   help="plyfs with /dev/fuse and io_uring, each with and without haltpoll, beside the kernel")
    p.add_argument("--short", action="store_true",
                   help="small trees, one round, plyfs and the kernel: shows that the script works, and no more")
    p.add_argument("--json", metavar="FILE", help="everything that was measured")
    p.add_argument("--svg", metavar="DIR", help="plots, one a collection of rows")
    p.add_argument("--markdown", metavar="FILE", help="puts the tables into a document, between its bench: comments")
    p.add_argument("--from", metavar="FILE,...", dest="earlier",
                   help="measures nothing: reports on what --json has written earlier, in one run or in several")
    p.add_argument("--data", metavar="DIR", default=os.environ.get("PLYFS_TEST_CACHE", "/var/cache/plyfs-tests"),
                   help="where the trees are kept: on the file system that uppers lie on (default: %(default)s)")
    return p.parse_args(argv)


def choose_groups(text):
    wanted = text.split(",")
    kinds = set(KINDS) if "all" in wanted else set(KINDS) & set(wanted)
    found = [group for group in GROUPS if group.kind in kinds or group.name in wanted]
    unknown = set(wanted) - kinds - {"all"} - {group.name for group in found}
    if unknown or not found:
        raise ValueError(f"there are no rows {', '.join(sorted(unknown))}: see scripts/bench --help")
    return found


def choose_systems(options, plyfs):
    names = systems.DEFAULT
    if options.matrix:
        names = ["kernel", *systems.MATRIX]
    elif options.short:
        names = ["backing", "kernel", "plyfs"]
    if options.systems:
        names = options.systems.split(",")
    return [systems.find(name, plyfs) for name in names]


def available(chosen, explicit):
    """Those that can run here. What was asked for by name must."""
    found = []
    for system in chosen:
        try:
            system.check()
            found.append(system)
        except systems.Unavailable as e:
            if explicit:
                raise ValueError(f"{system.title}: {e}") from None
            print(f"{system.title}: left out: {e}", file=sys.stderr)
    return found


def command(words):
    """What was measured; where its results go is nobody's business."""
    kept, skip = ["scripts/bench"], False
    for word in words:
        if not skip and word.partition("=")[0] not in OUTPUTS:
            kept.append(word)
        skip = not skip and word in OUTPUTS
    return " ".join(kept)


def facts_of(b, options):
    facts = {"date": time.strftime("%Y-%m-%d"), "command": command(sys.argv[1:])}
    busy = machine.busy_percent(2)
    facts.update(machine.describe(b.data.path(), b.work))
    facts["processors busy when it began"] = f"{busy:.0f} %"
    if busy > 20:
        facts["caution"] = "the machine was busy with other work, so ratios mean little"
    for system in b.systems:
        facts[system.title] = system.version()
    size = b.data.size
    if options.short:
        facts["short"] = "the numbers in the rows' titles are those of the full form"
    facts["lower layer"] = f"{size.files} files of /usr, none larger than {data.MAX_FILE // 1024} KiB"
    facts["rounds"] = f"{options.rounds}, slow file systems {min(options.rounds, options.slow_rounds)}"
    return facts


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def publish(report, options):
    print(report.text(), end="")
    if options.json:
        write(options.json, report.json())
    for kind in report.kinds():
        section = "matrix" if options.matrix else kind
        plot = svg.plot(report, kind, KINDS[kind]) if options.svg else None
        name = os.path.join(options.svg, f"{section}.svg") if plot else None
        if plot:
            write(name, plot)
        if options.markdown:
            link = os.path.relpath(name, os.path.dirname(options.markdown) or ".") if plot else None
            replace_section(options.markdown, section, report.markdown(kind, link))


def counted(options):
    def decide(system):
        return system.fuse and (
            options.count == "all" or options.count == "plyfs" and isinstance(system, systems.Plyfs))
    return decide


def run(options, work, plyfs):
    """Returns the exit status."""
    groups = choose_groups(options.rows)
    if options.short:
        options.rounds = options.slow_rounds = 1
    chosen = available(choose_systems(options, plyfs), bool(options.systems))
    size = data.SHORT if options.short else data.FULL
    b = bench.Bench(work, data.get(options.data, size), chosen, options.limit)
    b.compile()
    groups = b.usable(groups)
    report = Report(b.results, {s.name: s.title for s in chosen}, groups, facts_of(b, options))

    def keep():
        if options.json:
            write(options.json, report.json())

    b.run(groups, options.rounds, options.slow_rounds, counted(options), keep)
    publish(report, options)
    return 1 if any(system.startswith("plyfs") for _, system in b.results.failures) else 0


def show_earlier(options):
    """Columns and rows of all the files; what the machine was comes from the first."""
    results, titles, facts, steps, commands = Results(), {}, {}, set(), []
    for path in options.earlier.split(","):
        with open(path, encoding="utf-8") as f:
            earlier = json.load(f)
        results.load(earlier)
        titles.update(earlier["systems"])
        facts = {**earlier["facts"], **facts}
        steps.update(row["step"] for row in earlier["rows"])
        commands.append(earlier["facts"]["command"])
    groups = [group for group in GROUPS if steps & {step.name for step in group.steps}]
    facts["command"] = "; ".join(commands)
    usual = systems.DEFAULT
    titles = dict(sorted(titles.items(), key=lambda pair: usual.index(pair[0].partition(":")[0])))
    publish(Report(results, titles, groups, facts), options)
    return 0


def main():
    options = parse(sys.argv[1:])
    try:
        if options.earlier:
            return show_earlier(options)
        return run(options, os.environ["BENCH_WORK"], os.environ["PLYFS"])
    except (ValueError, OSError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
