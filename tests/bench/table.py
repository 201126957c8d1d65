# SPDX-License-Identifier: Apache-2.0
"""Tables as plain text and as Markdown, and where a document keeps them."""


class Table:
    """The first column is text, the others are numbers or short words."""

    def __init__(self, title, head):
        self.title = title
        self.head = head
        self.rows = []

    def add(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def text(self):
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        out = [self.title, ""]
        for line in lines:
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            out.append("  ".join(cells).rstrip())
        return "\n".join(out) + "\n"

    def markdown(self):
        out = [f"**{self.title}**", "", "| " + " | ".join(self.head) + " |",
               "|---|" + "---:|" * (len(self.head) - 1)]
        out += ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join(out) + "\n"


def replace_section(path, name, text):
    """Puts TEXT between the comments `bench:NAME` and `/bench:NAME` of a Markdown file."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    with open(path, encoding="utf-8") as f:
        document = f.read()
    if begin not in document or end not in document:
        raise ValueError(f"{path} has no lines {begin} and {end} to put the results between")
    head, tail = document.partition(begin)[0], document.partition(end)[2]
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{head}{begin}\n{text.strip()}\n{end}{tail}")
