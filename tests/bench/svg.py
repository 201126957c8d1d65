# SPDX-License-Identifier: Apache-2.0
"""A dot plot: a line for each row, a dot for each file system, on a logarithmic scale of ratios."""
import math
from xml.sax.saxutils import escape

LEFT, RIGHT, TOP, LINE = 330, 30, 90, 22
WIDTH = 900
COLOURS = {"backing": "#8c8c8c", "kernel": "#1f1f1f", "fuse-overlayfs": "#d95f02", "fuse-overlayfs-1.14": "#e6ab02",
           "unionfs-fuse": "#7570b3", "mergerfs": "#66a61e", "plyfs": "#0072b2"}
SPARE = ["#56b4e9", "#009e73", "#cc79a7", "#f0e442", "#a6761d"]


def colours(names):
    spare = iter(SPARE * len(names))
    return [COLOURS.get(name) or next(spare) for name in names]


class Plot:
    def __init__(self, title, systems):
        """SYSTEMS: pairs of name and title."""
        self.title = title
        self.titles = [title for _, title in systems]
        self.colours = colours([name for name, _ in systems])
        self.rows = []

    def add(self, title, values, goal):
        """VALUES: one ratio a system, or None; GOAL: a ratio, or None."""
        self.rows.append((title, values, goal))

    def bounds(self):
        seen = [v for _, values, goal in self.rows for v in [*values, goal, 1.0] if v]
        return math.floor(math.log10(min(seen))), math.ceil(math.log10(max(seen)) + 0.01)

    def text(self):
        low, high = self.bounds()
        height = TOP + LINE * len(self.rows) + 30

        def x(value):
            at = (math.log10(max(value, 10.0 ** low)) - low) / (high - low)
            return LEFT + at * (WIDTH - LEFT - RIGHT)

        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
                 f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
                 f'<text x="12" y="22" font-size="15">{escape(self.title)}</text>']
        parts += self.legend()
        parts += self.grid(low, high, height, x)
        for number, row in enumerate(self.rows):
            parts += self.line(row, TOP + LINE * number + LINE / 2, x)
        return "\n".join(parts) + "\n</svg>\n"

    def legend(self):
        parts, x, y = [], 16, 42
        for title, colour in [*zip(self.titles, self.colours), ("goal", None)]:
            room = 26 + 7 * len(title)
            if x + room > WIDTH:
                x, y = 16, y + 20
            parts.append(f'<circle cx="{x}" cy="{y}" r="5" fill="{colour}"/>' if colour else
                         f'<path d="M{x} {y - 6}v12" stroke="#c00" stroke-width="2"/>')
            parts.append(f'<text x="{x + 9}" y="{y + 4}">{escape(title)}</text>')
            x += room
        return parts

    @staticmethod
    def grid(low, high, height, x):
        parts = []
        for power in range(low, high + 1):
            at, bottom = x(10.0 ** power), height - 26
            parts.append(f'<path d="M{at:.1f} {TOP}V{bottom}" stroke="{"#888" if power == 0 else "#ddd"}"/>'
                         f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{10.0 ** power:g}</text>')
        return parts

    def line(self, row, y, x):
        title, values, goal = row
        parts = [f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(title)}</text>']
        if goal:
            parts.append(f'<path d="M{x(goal):.1f} {y - 8}v16" stroke="#c00" stroke-width="2"/>')
        for value, colour, name in zip(values, self.colours, self.titles):
            if value:
                parts.append(f'<circle cx="{x(value):.1f}" cy="{y}" r="5" fill="{colour}" fill-opacity="0.85">'
                             f'<title>{escape(name)}: {value:.3g}</title></circle>')
        return parts


def plot(report, kind, title):
    """Ratios to the kernel's overlayfs, or to the first file system where it was not measured."""
    names = report.columns(kind)
    if not names:
        return None
    reference = "kernel" if "kernel" in names else names[0]
    chart = Plot(f"{title}: relative to {report.titles[reference]}",
                 [(name, report.titles[name]) for name in names])
    for _, step in report.steps(kind):
        base = report.results.median(step.name, reference)
        if not base:
            continue
        limit = step.goal.limit(*report.reference(step.name)) if step.goal else None
        values = [report.results.median(step.name, name) for name in names]
        chart.add(step.title, [v / base if v else None for v in values], limit / base if limit else None)
    return chart.text() if chart.rows else None
