"""Runs as a page: Markdown for docs/, or HTML with plots that opens without a network.

It is made from the JSON of runs alone, so that the page of a committed run can be made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from bench.curves import curves
from bench.plot import bars

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ccc}"
    "td+td,th+th{text-align:right}.missed{color:#b00}svg text{font:13px system-ui,sans-serif}"
)

Rows = list[list[str]]


def markdown(runs: Sequence[dict[str, Any]]) -> str:
    """Each run as a section; where there are several, all their targets first."""
    lines: list[str] = []
    if len(runs) > 1:
        lines += ["## All targets", "", *table(*every_target(runs)), ""]
    for run in runs:
        lines += [f"## {run['scenario']}", "", *(f"{line}  " for line in conditions(run)), ""]
        for workload in run["workloads"]:
            lines += [f"### {title(workload)}", "", *table(*rates(workload)), ""]
        lines += ["### Targets", "", *table(*targets(run)), ""]
    return "\n".join(lines)


def html(runs: Sequence[dict[str, Any]]) -> str:
    """The same with plots: for each workload every contestant's ratio, and how far its rounds lie apart; then
    the curves of each run."""
    body: list[str] = []
    if len(runs) > 1:
        body += ["<h1>All targets</h1>", marked_up(*every_target(runs))]
    for run in runs:
        body.append(f"<h1>{escape(run['scenario'])}</h1>")
        body.append("<p>" + "<br>".join(map(escape, conditions(run))) + "</p>")
        for workload in run["workloads"]:
            ratios = {name: contestant["ratio"] for name, contestant in workload["contestants"].items()}
            body += [f"<h2>{escape(title(workload))}</h2>", bars(ratios), marked_up(*rates(workload))]
        for caption, picture in curves(run):
            body += [f"<h2>{escape(caption)}</h2>", picture]
        body += ["<h2>Targets</h2>", marked_up(*targets(run))]
    head = f'<meta charset="utf-8"><title>Ropeway, measured</title><style>{_STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(body)}</body></html>\n"


def conditions(run: dict[str, Any]) -> list[str]:
    """Where, when and with what it ran."""
    place, chosen = run["machine"], run["settings"]
    cores = f"{place['cores_usable']} of {place['cores']} cores"
    disk = f"{place['file_system']}, {place['sync_us']:.0f} us a sync"
    sizes = " ".join(f"--{name} {number(chosen[name])}" for name in ("rounds", "seconds", "messages"))
    if chosen.get("sizes"):
        sizes += f" --sizes {','.join(map(str, chosen['sizes']))}"
    if chosen.get("only"):
        sizes += f" --only {chosen['only']!r}"
    before = f"load average {place['load_average']:.2f} before"
    return [
        f"{run['at']}: {place['processor']}, {cores}, {place['system']}, {disk}, {before}",
        ", ".join(f"{package} {version}" for package, version in run["versions"].items()),
        f"To repeat: python -m bench run {run['scenario']} {sizes}",
    ]


def number(value: float) -> str:
    """Without a point that says nothing."""
    return str(int(value)) if value == int(value) else str(value)


def title(workload: dict[str, Any]) -> str:
    """A workload's, and whether it can be judged."""
    noise = " (noisy: do not judge by it)" if workload["noisy"] else ""
    return f"{workload['title']}, {workload['body']} bytes{noise}"


def rates(workload: dict[str, Any]) -> tuple[list[str], Rows]:
    """The table of a workload: its columns, and a row a contestant."""
    rows = []
    for name, contestant in workload["contestants"].items():
        rate, ratio = contestant["rate"], contestant["ratio"]
        latencies = [each["latency_us"]["p50"] for each in contestant["rounds"] if each["latency_us"]]
        rows.append(
            [
                name,
                f"{rate['median']:,.0f}",
                f"{ratio['median']:.2f}",
                f"{ratio['low']:.2f} to {ratio['high']:.2f}",
                f"{sorted(latencies)[len(latencies) // 2]:.0f}" if latencies else "-",
            ]
        )
    return ["", "messages/s", "ratio", "its rounds", "p50 us"], rows


def targets(run: dict[str, Any]) -> tuple[list[str], Rows]:
    """The table of what was wanted and what was measured."""
    rows = [
        [check["name"], f"{check['target']:g}", f"{check['measured']:.4g}", "yes" if check["holds"] else "NO"]
        for check in run["checks"]
    ]
    return ["", "target", "measured", "holds"], rows


def every_target(runs: Sequence[dict[str, Any]]) -> tuple[list[str], Rows]:
    """The targets of all runs in one table."""
    rows = [[f"{run['scenario']}: {row[0]}", *row[1:]] for run in runs for row in targets(run)[1]]
    return targets(runs[0])[0], rows


def table(columns: list[str], rows: Rows) -> list[str]:
    """In Markdown."""
    ruled = ["---", *("---:" for _ in columns[1:])]
    return [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (columns, ruled, *rows)
    ]


def marked_up(columns: list[str], rows: Rows) -> str:
    """In HTML."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = [
        f"<tr{' class=missed' if row[-1] == 'NO' else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in rows
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"
