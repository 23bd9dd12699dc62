"""What a benchmark found: ratios and their targets, as tables for the terminal and for a page."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

TITLES = {"get": "GET one", "list": "list of 20", "post": "POST", "patch": "PATCH"}
COMPARED = {
    "throughput, times the tutorial's": ("rate", "tutorial"),
    "p99, times the tutorial's": ("p99", "tutorial"),
    "CPU, times the tutorial's": ("cpu", "tutorial"),
    "CPU, times the limit's": ("cpu", "limit"),
    "throughput, times the other's": ("rate", "other"),
    "CPU, times the other's": ("cpu", "other"),
}


class Figures(NamedTuple):
    """One service, one operation, one round."""

    rate: float
    """Requests a second."""
    p50: float  # milliseconds
    p99: float
    cpu: float
    """Microseconds of the server's process, for a request."""
    busy: float
    """The share of a core that it used."""


Found = dict[str, dict[str, list[Figures]]]  # the figures of all rounds, by operation and service


def spread(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return the least, the median and the greatest ratio of two figures of one round."""
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return ratios[0], median(ratios), ratios[-1]


def in_turns(cases: Mapping[str, Callable[[], Mapping[str, float]]], rounds: int) -> str:
    """Measure all cases in turns; return a table: the medians, and the ratios to the first case, round by round."""
    order, found = list(cases), {case: [] for case in cases}
    for number in range(rounds + 1):
        for case in order[number % len(order) :] + order[: number % len(order)]:
            figures = cases[case]()
            found[case] += [figures] * (number > 0)  # the first one warms it up
        print(f"round {number}/{rounds}", flush=True)
    names = list(figures)
    cells = [["", *(head for name in names for head in (name, "min", "median", "max"))]]
    for case in order:
        cells.append([case])
        for name in names:
            ours, first = ([figures[name] for figures in found[of]] for of in (case, order[0]))
            middle = median(ours)
            cells[-1] += [f"{middle:.{0 if middle >= 100 else 2}f}", *(f"{ratio:.2f}" for ratio in spread(ours, first))]
    return table(cells)


def target(variant: str, operation: str, name: str, service: str) -> float | None:
    """Return the least throughput, or the most of anything else, that a median ratio may have."""
    database, engine, _ = variant.split("-")
    fastest = (database, engine) == ("postgresql", "async")
    match name, service:
        case "rate", "tutorial" if fastest:
            return 1.7 if operation in {"list", "patch"} else 1.8
        case "rate", "tutorial":
            return {"postgresql": 1.8, "sqlite": 1.3}.get(database)
        case "p99", "tutorial":
            return 0.2 if fastest else 1.0
        case "cpu", "limit" if fastest and operation == "get":
            return 4.0
    return None


def table(cells: list[list[str]], texts: int = 1) -> str:
    """Return a table in Markdown, whose first columns are texts, and the others numbers."""
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    head, *body = cells
    rule = ["-" * width if place < texts else "-" * (width - 1) + ":" for place, width in enumerate(widths)]
    lines = []
    for row in [head, rule, *body]:
        padded = [
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(padded)} |")
    return "\n".join(lines)


def tables(variant: str, found: Found) -> str:
    """Return two tables: the medians of all figures, and the ratios with their targets."""
    figures = [["", "", "requests/s", "p50 ms", "p99 ms", "CPU µs", "of a core"]]
    compared = [["", "", "min", "median", "max", "target", ""]]
    for operation, services in found.items():
        for service, rounds in services.items():
            rate, p50, p99, cpu, busy = map(median, zip(*rounds, strict=True))
            row = [f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.0f}", f"{busy:.0%}"]
            figures.append([TITLES[operation], service, *row])
        for what, (name, service) in COMPARED.items():
            if service in services:
                ratios = spread(*([getattr(f, name) for f in services[of]] for of in ("template", service)))
                row = [f"{ratio:.2f}" for ratio in ratios] + ["", ""]
                if aim := target(variant, operation, name, service):
                    met = ratios[1] >= aim if name == "rate" else ratios[1] <= aim
                    row[3:] = f"{'≥' if name == 'rate' else '≤'} {aim}", "met" if met else "missed"
                compared.append([TITLES[operation], what, *row])
    return f"{table(figures, 2)}\n\n{table(compared, 2)}"


def keep(page: Path, title: str, text: str) -> None:
    """Put a section into the results, which a page ends with; the variants are in order."""
    head, mark, results = page.read_text(encoding="utf-8").partition("## Results\n")
    sections = dict(re.findall(r"^### (.*)\n\n((?:(?!### ).*\n)*)", results, re.MULTILINE))
    sections[title] = text + "\n"
    kept = "\n".join(f"### {name}\n\n{sections[name].strip()}\n" for name in sorted(sections))
    page.write_text(f"{head}{mark}\n{kept}", encoding="utf-8")
