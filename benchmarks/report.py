"""The result of a benchmark: its ratios and targets, a table, a page, a picture."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

TITLES = {"get": "GET one", "list": "list of 20", "post": "POST", "patch": "PATCH"}
COLUMNS = ("rate", "p50", "p99", "cpu", "busy")


@dataclass
class Result:
    """What was measured, on what."""

    variant: str
    command: str
    date: str
    machine: str
    rounds: int
    seconds: float
    clients: int
    log: str
    versions: dict[str, str]
    memory: dict[str, float]
    figures: dict[str, dict[str, list[list[float]]]]

    def column(self, operation: str, service: str, name: str) -> list[float]:
        """Return one figure of all rounds."""
        place = COLUMNS.index(name)
        return [row[place] for row in self.figures[operation][service]]


class Ratio(NamedTuple):
    """The template's figure divided by another service's in the same round; and what is aimed at."""

    operation: str
    what: str
    least: float
    median: float
    most: float
    target: float | None
    up: bool
    """Whether more is better."""

    @property
    def met(self) -> bool:
        """Tell whether the median reaches the target."""
        return self.target is None or (self.median >= self.target if self.up else self.median <= self.target)


def rate_target(variant: str, operation: str) -> float | None:
    """Return the least throughput, as a multiple of the tutorial's."""
    database, engine, _ = variant.split("-")
    if database == "postgresql" and engine == "async":
        return 2.2 if operation in {"get", "list"} else 1.9
    return {"postgresql": 1.8, "sqlite": 1.3}.get(database)


def ratios(result: Result) -> list[Ratio]:
    """Return all ratios."""
    services = next(iter(result.figures.values()))
    found = []
    for operation in result.figures:
        cpu_target = 4.2 if operation == "get" and "postgresql-async" in result.variant else None
        wanted: list[tuple[str, str, str, float | None, bool]] = [
            ("throughput, times the tutorial's", "rate", "tutorial", rate_target(result.variant, operation), True),
            ("p99, times the tutorial's", "p99", "tutorial", 1.0, False),
            ("CPU, times the limit's", "cpu", "limit", cpu_target, False),
            ("throughput, times the other's", "rate", "other", None, True),
            ("CPU, times the other's", "cpu", "other", None, False),
        ]
        for what, name, service, target, up in wanted:
            if service not in services:
                continue
            pairs = zip(
                result.column(operation, "template", name), result.column(operation, service, name), strict=True
            )
            values = sorted(ours / theirs for ours, theirs in pairs)
            found.append(Ratio(operation, what, values[0], median(values), values[-1], target, up))
    return found


def rows(result: Result) -> tuple[list[list[str]], list[list[str]]]:
    """Return the cells of two tables: figures, and ratios."""
    figures = [["", "", "requests/s", "p50 ms", "p99 ms", "CPU µs", "of a core"]]
    for operation, services in result.figures.items():
        for service in services:
            rate, p50, p99, cpu, busy = (median(result.column(operation, service, name)) for name in COLUMNS)
            cells = [f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.0f}", f"{busy:.0%}"]
            figures.append([TITLES[operation], service, *cells])
    compared = [["", "", "min", "median", "max", "target", ""]]
    for ratio in ratios(result):
        target = "" if ratio.target is None else f"{'≥' if ratio.up else '≤'} {ratio.target:.1f}"
        verdict = "" if ratio.target is None else "met" if ratio.met else "missed"
        values = [f"{value:.2f}" for value in (ratio.least, ratio.median, ratio.most)]
        compared.append([TITLES[ratio.operation], ratio.what, *values, target, verdict])
    return figures, compared


def text(cells: list[list[str]]) -> str:
    """Return a table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        words = [
            cell.ljust(w) if place < 2 else cell.rjust(w)
            for place, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(words).rstrip())
    return "\n".join(lines)


def table(result: Result) -> str:
    """Return the result for a terminal."""
    figures, compared = rows(result)
    memory = ", ".join(f"{name} {size:.0f} MiB" for name, size in result.memory.items())
    return f"\n{text(figures)}\n\n{text(compared)}\n\nmemory before the load: {memory}"


def write(result: Result, folder: Path) -> None:
    """Keep the result in the documentation."""
    raise NotImplementedError("docs=no")
