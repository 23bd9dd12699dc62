"""The result of a benchmark: its ratios and targets, a table, a page, a picture."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

TITLES = {"get": "GET one", "list": "list of 20", "post": "POST", "patch": "PATCH"}
COLORS = {"template": "#1f77b4", "tutorial": "#ff7f0e", "limit": "#7f7f7f", "other": "#9467bd"}
THROUGHPUT = "throughput, times the tutorial's"
COLUMNS = ("rate", "p50", "p99", "cpu", "busy")


@dataclass
class Result:
    """What was measured, on what."""

    variant: str
    command: str
    date: str
    machine: str
    rounds: int
    seconds: int
    clients: int
    log: str
    versions: dict[str, str]
    memory: dict[str, float]
    figures: dict[str, dict[str, list[list[float]]]]

    def column(self, operation: str, service: str, name: str) -> list[float]:
        """Return one figure of all rounds."""
        place = COLUMNS.index(name)
        return [row[place] for row in self.figures[operation][service]]


def short(figures: Iterable[float]) -> list[float]:
    """Return figures as they are kept: four digits are more than a machine repeats."""
    return [float(f"{figure:.4g}") for figure in figures]


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
            (THROUGHPUT, "rate", "tutorial", rate_target(result.variant, operation), True),
            ("p99, times the tutorial's", "p99", "tutorial", 1.0, False),
            ("CPU, times the tutorial's", "cpu", "tutorial", None, False),
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


def doubts(result: Result) -> str:
    """Return what is to be said of a machine that had something else to do."""
    busy = median(result.column("get", "template", "busy"))
    if busy > 0.85:
        return ""
    return (
        f"\n\nOthers used the machine: the template had {busy:.0%} of a core for GET one. Trust CPU more than the rest."
    )


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
    return f"\n{text(figures)}\n\n{text(compared)}\n\nmemory before the load: {memory}{doubts(result)}"


def table_of_page(cells: list[list[str]]) -> str:
    """Return a table for a page."""
    head, *body = cells
    line = ["---"] * 2 + ["---:"] * (len(head) - 2)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, line, *body])


def section(result: Result) -> str:
    """Return what the page says of one variant."""
    figures, compared = rows(result)
    memory = ", ".join(f"{name} {size:.0f} MiB" for name, size in result.memory.items())
    used = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    how = f"{result.rounds} rounds of {result.seconds} s, {result.clients} clients, access log {result.log}"
    kept = f"`{result.command}`, {result.date}: {how}. {result.machine}; {used}."
    head = f"### {result.variant}\n\n{kept}\n\nMemory before the load: {memory}.{doubts(result)}"
    return f"{head}\n\n{table_of_page(figures)}\n\n{table_of_page(compared)}\n"


def write(result: Result, folder: Path) -> None:
    """Keep the result: its figures, the end of the page, and the picture."""
    path = folder / "benchmark.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[result.variant] = asdict(result)
    kept = {name: kept[name] for name in sorted(kept)}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in kept.items())
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    results = [Result(**value) for value in kept.values()]
    page = folder / "benchmark.md"
    text, mark, _ = page.read_text(encoding="utf-8").partition("## Results\n")
    sections = "\n".join(map(section, results))
    page.write_text(f"{text}{mark}\n![Throughput and CPU time](benchmark.svg)\n\n{sections}", encoding="utf-8")
    draw(results, folder / "benchmark.svg")


def draw(results: list[Result], path: Path) -> None:
    """Draw throughput beside the tutorial's, and CPU time: a row for each variant, and the same file each time."""
    import matplotlib as mpl  # noqa: PLC0415  (only to keep a result)

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "benchmark", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"]}
    mpl.rcParams |= {"font.size": 9, "axes.titlesize": 9}
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(
        len(results), 2, figsize=(9, 0.4 + 2.1 * len(results)), squeeze=False, layout="constrained"
    )
    for (left, right), result in zip(axes, results, strict=True):
        draw_ratios(left, result)
        draw_cpu(right, result)
    axes[0][0].set_title("throughput, times the tutorial's; | target", loc="left")
    axes[0][1].set_title("CPU, µs a request", loc="left")
    named = [axis.get_legend_handles_labels() for axis in axes[:, 1]]
    figure.legend(*max(named, key=lambda pair: len(pair[1])), frameon=False, ncols=4, loc="outside upper right")
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")


def draw_ratios(axes: Any, result: Result) -> None:
    """Draw a line and a dot for each operation."""
    shown = [ratio for ratio in ratios(result) if ratio.what == THROUGHPUT]
    for place, ratio in enumerate(shown):
        axes.plot([ratio.least, ratio.most], [place, place], color=COLORS["template"], linewidth=2)
        axes.plot(ratio.median, place, "o", color=COLORS["template"])
        axes.annotate(f"{ratio.median:.2f}", (ratio.median, place), (0, 6), textcoords="offset points", ha="center")
        if ratio.target is not None:
            axes.plot([ratio.target] * 2, [place - 0.3, place + 0.3], color="black", linewidth=1)
    axes.axvline(1, color=COLORS["tutorial"], linewidth=1)
    axes.set_yticks(range(len(shown)), [TITLES[ratio.operation] for ratio in shown])
    axes.set(xlim=(0, max(2.5, *(ratio.most for ratio in shown)) * 1.05), ylim=(len(shown) - 0.5, -0.8))
    axes.set_ylabel(result.variant.rpartition("-")[0])
    axes.spines[["top", "right"]].set_visible(False)


def draw_cpu(axes: Any, result: Result) -> None:
    """Draw bars, for each operation one for each service."""
    services = list(next(iter(result.figures.values())))
    height = 0.8 / len(services)
    for number, service in enumerate(services):
        values = [median(result.column(operation, service, "cpu")) for operation in result.figures]
        places = [place + (number - (len(services) - 1) / 2) * height for place in range(len(values))]
        bars = axes.barh(places, values, height, color=COLORS[service], label=service)
        axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=7)
    axes.set_yticks(range(len(result.figures)), [TITLES[operation] for operation in result.figures])
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.spines[["top", "right"]].set_visible(False)
