"""What a run says: JSON for programs, tables for people, plain lines for a pipe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.compare import Change
from bench.figures import Check
from bench.machine import versions
from bench.match import Result
from bench.scenario import Comparison, Outcome, Scenario, Settings, Watch

FORMAT = 2
"""The version of the JSON's form. It grows when a field changes its meaning or goes."""

BUSY = 0.25
"""A load average of more than this a core, before a run, says that the machine does something else."""

COLUMNS = (
    "",
    "rate /s",
    "low - high",
    "ratio",
    "low - high",
    "server us",
    "load us",
    "server busy",
    "load busy",
    "p50 us",
)


def document(
    scenario: Scenario, settings: Settings, place: dict[str, Any], outcome: Outcome
) -> dict[str, Any]:
    """The whole of a run, as JSON takes it; `place` is the machine as it was before."""
    return {
        "format": FORMAT,
        "scenario": scenario.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": place,
        "versions": versions(),
        "settings": {**asdict(settings), "directory": str(settings.directory)},
        "workloads": [workload(comparison) for comparison in outcome.comparisons],
        "figures": outcome.figures,
        "checks": [asdict(check) for check in outcome.checks],
    }


def workload(comparison: Comparison) -> dict[str, Any]:
    """One workload, with every round of every contestant."""
    return {
        **asdict(comparison.workload),
        "noisy": comparison.noisy,
        "contestants": {
            name: {
                "rate": asdict(comparison.rate[name]),
                "ratio": asdict(comparison.ratio[name]),
                # One round's time line is enough to draw, and most of what a round holds.
                "rounds": [
                    asdict(result if number == 0 else replace(result, timeline=()))
                    for number, result in enumerate(results)
                ],
            }
            for name, results in comparison.rounds.items()
        },
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes the JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def watching(console: Console, scenario: Scenario, settings: Settings) -> Iterator[Watch]:
    """Shows progress: a bar on a terminal, a line a step in a pipe."""
    if not console.is_terminal:
        yield lambda line: print(line, flush=True)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(scenario.name, total=scenario.steps(settings))
        yield lambda line: progress.update(task, advance=1, description=line)


def show(console: Console, content: dict[str, Any], outcome: Outcome) -> None:
    """Prints a run's results."""
    header(console, content)
    for comparison in outcome.comparisons:
        rates(console, comparison)
    if outcome.lines:
        table_or_lines(console, content["scenario"], ("", "value"), [list(line) for line in outcome.lines])
    judged(console, outcome.checks)


def header(console: Console, content: dict[str, Any]) -> None:
    """Where and on what it ran."""
    place, found, chosen = content["machine"], content["versions"], content["settings"]
    lines = (
        f"{place['processor']}, {place['cores_usable']} of {place['cores']} cores, {place['system']}",
        f"{place['file_system']}, {place['sync_us']:.0f} us a sync, load average {place['load_average']:.1f}",
        ", ".join(f"{package} {version}" for package, version in found.items()),
        f"{chosen['rounds']} rounds of {chosen['seconds']:g} s",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if place["load_average"] > BUSY * place["cores_usable"]:
        console.print(
            "The machine was busy before the run began: trust no ratio that varies.", soft_wrap=True
        )


def rates(console: Console, comparison: Comparison) -> None:
    """One workload's table."""
    rows = [row(comparison, name) for name in comparison.rounds]
    yardstick = next(iter(comparison.rounds))
    noise = f" (noisy: the rounds of the {yardstick} lie far apart)" if comparison.noisy else ""
    title = f"{comparison.workload.title}, {comparison.workload.body} bytes{noise}"
    table_or_lines(console, title, COLUMNS, rows)


def row(comparison: Comparison, name: str) -> list[str]:
    """One contestant's line."""
    rate, ratio, results = comparison.rate[name], comparison.ratio[name], comparison.rounds[name]

    def middle(figure: str) -> float:
        return median(float(getattr(result, figure)) for result in results)

    return [
        name,
        f"{rate.median:,.0f}",
        f"{rate.low:,.0f} - {rate.high:,.0f}",
        f"{ratio.median:.2f}",
        f"{ratio.low:.2f} - {ratio.high:.2f}",
        f"{middle('server_us'):.1f}",
        f"{middle('load_us'):.1f}",
        f"{middle('server_busy'):.0%}",
        f"{middle('load_busy'):.0%}",
        latency(results),
    ]


def latency(results: list[Result]) -> str:
    """The median round's p50, where it was measured."""
    took = [result.latency_us.p50 for result in results if result.latency_us is not None]
    return f"{median(took):.0f}" if took else "-"


def judged(console: Console, checks: list[Check]) -> None:
    """Each target, and whether it holds."""
    rows = [
        [check.name, f"{check.target:g}", f"{check.measured:.4g}", "yes" if check.holds else "NO"]
        for check in checks
    ]
    table_or_lines(console, "targets", ("", "target", "measured", "holds"), rows)


def show_changes(console: Console, changes: list[Change]) -> None:
    """Prints what two runs have in common. "within" says that their rounds overlap: that is no change."""
    rows = [
        [
            change.name,
            f"{change.before:.4g}",
            f"{change.after:.4g}",
            "-" if change.share is None else f"{change.share:+.1%}",
            {None: "-", True: "apart", False: "within"}[change.apart],
        ]
        for change in changes
    ]
    table_or_lines(console, "changes", ("", "before", "after", "change", "rounds"), rows)


def table_or_lines(console: Console, title: str, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """A table on a terminal; in a pipe, lines that `cut` can take apart: fields with tabs between them."""
    if not console.is_terminal:
        print(f"\n{title}")
        for cells in (list(columns), *rows):
            print("\t".join(cells))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if not column else "right")
    for cells in rows:
        table.add_row(*cells)
    console.print(table)
