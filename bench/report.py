"""The table: what was measured, against which threshold."""

import statistics
from dataclasses import dataclass

BEGIN_MARK = "<!-- figures: begin, written by `make bench` with --write -->"
END_MARK = "<!-- figures: end -->"


@dataclass
class Row:
    what: str
    value: float
    unit: str
    limit: float | None = None
    """the highest value that is allowed; None for a figure that is given for information"""
    note: str = ""

    @property
    def verdict(self):
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "OVER"

    def cells(self):
        return (self.what, "" if self.limit is None else f"<= {self.limit:g} {self.unit}".rstrip(),
                f"{self.value:.3g} {self.unit}".rstrip() if self.value < 1000 else f"{self.value:.0f} {self.unit}",
                self.verdict, self.note)


def spread(samples):
    """The median and, in brackets, the lowest and the highest."""
    return f"{statistics.median(samples):.2f} ({min(samples):.2f}–{max(samples):.2f})"


def markdown(headline, rows):
    lines = [headline, "", "| what | at most | measured | | note |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row.cells()) + " |" for row in rows]
    return "\n".join(lines)


def write_into(page, text):
    """Puts the table between the marks of a page."""
    content = page.read_text()
    before, _, rest = content.partition(BEGIN_MARK)
    _, mark, after = rest.partition(END_MARK)
    if not mark:
        raise SystemExit(f"{page}: the marks around the figures are missing")
    page.write_text(f"{before}{BEGIN_MARK}\n{text}\n{mark}{after}")
