"""Runs as a page: Markdown for docs/, or HTML with plots that opens without a network.

It is made from the JSON of runs alone, so that the page of a committed run can be made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

_WIDTH, _BAR, _LABEL = 720, 22, 240
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ccc}"
    "td+td,th+th{text-align:right}.missed{color:#b00}svg text{font:13px system-ui,sans-serif}"
)

Rows = list[list[str]]


def markdown(runs: Sequence[dict[str, Any]]) -> str:
    """Each run as a section."""
    lines: list[str] = []
    for run in runs:
        lines += [f"## {run['scenario']}", "", *(f"{line}  " for line in conditions(run)), ""]
        for workload in run["workloads"]:
            lines += [f"### {title(workload)}", "", *table(*rates(workload)), ""]
        lines += ["### Targets", "", *table(*targets(run)), ""]
    return "\n".join(lines)


def html(runs: Sequence[dict[str, Any]]) -> str:
    """The same, with a plot for each workload: every contestant's ratio, and how far its rounds lie apart."""
    body: list[str] = []
    for run in runs:
        body.append(f"<h1>{escape(run['scenario'])}</h1>")
        body.append("<p>" + "<br>".join(map(escape, conditions(run))) + "</p>")
        for workload in run["workloads"]:
            body += [f"<h2>{escape(title(workload))}</h2>", plot(workload), marked_up(*rates(workload))]
        body += ["<h2>Targets</h2>", marked_up(*targets(run))]
    head = f'<meta charset="utf-8"><title>Ropeway, measured</title><style>{_STYLE}</style>'
    return f"<!doctype html><html><head>{head}</head><body>{''.join(body)}</body></html>\n"


def conditions(run: dict[str, Any]) -> list[str]:
    """Where, when and with what it ran."""
    place, chosen = run["machine"], run["settings"]
    cores = f"{place['cores_usable']} of {place['cores']} cores"
    disk = f"{place['file_system']}, {place['sync_us']:.0f} us a sync"
    sizes = " ".join(f"--{name} {chosen[name]}" for name in ("rounds", "seconds", "messages"))
    return [
        f"{run['at']}: {place['processor']}, {cores}, {place['system']}, {disk}",
        ", ".join(f"{package} {version}" for package, version in run["versions"].items()),
        f"To repeat: python -m bench run {run['scenario']} {sizes}",
    ]


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


def plot(workload: dict[str, Any]) -> str:
    """Bars of the ratios, each with a line from its lowest round to its highest."""
    spreads = {name: contestant["ratio"] for name, contestant in workload["contestants"].items()}
    most = max([each["high"] for each in spreads.values()] or [0.0]) or 1.0
    scale = (_WIDTH - _LABEL - 60) / most
    drawn = []
    for index, (name, ratio) in enumerate(spreads.items()):
        top = index * (_BAR + 8)
        middle, end = top + _BAR / 2, _LABEL + ratio["median"] * scale
        low, high = (_LABEL + ratio[side] * scale for side in ("low", "high"))
        drawn.append(
            f'<text x="{_LABEL - 8}" y="{middle + 4:.0f}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL}" y="{top}" width="{end - _LABEL:.1f}" height="{_BAR}" fill="#69c"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#024"/>'
            f'<text x="{max(end, high) + 6:.1f}" y="{middle + 4:.0f}">{ratio["median"]:.2f}</text>'
        )
    height = len(spreads) * (_BAR + 8)
    return f'<svg width="{_WIDTH}" height="{height}" role="img">{"".join(drawn)}</svg>'
