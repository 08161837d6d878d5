"""What a run's JSON has that is drawn as lines: found by its shape, whatever scenario it is from.

Rates against the size of bodies, or against requests outstanding, where the workloads differ in that;
distributions of latencies; memory and backlog over time; costs against how much there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.plot import Axis, Points, lines

Series = dict[str, Points]
Picture = tuple[str, str]
"""A caption, and an SVG."""

PERCENTILES = Axis("of so many, one took longer", log=True)
MICROSECONDS = Axis("microseconds", log=True)
SECONDS = Axis("seconds")
MEMORY = Axis("memory, MiB", unit=1 << 20)
BACKLOG = Axis("messages that wait")
MOST = 8
"""Lines in one plot: as many as there are colours."""
FEWEST = 3
"""Workloads that make a curve."""


def curves(run: dict[str, Any]) -> list[Picture]:
    """All of a run."""
    found = [*throughput(run), *latencies(run), *over_time(run), *growth(run)]
    return [(caption, picture) for caption, picture in found if picture]


def throughput(run: dict[str, Any]) -> Iterator[Picture]:
    """Messages a second against what its workloads differ in."""
    workloads = run["workloads"]
    for caption, axis, of in (
        ("Throughput against size", Axis("bytes a message", log=True), body),
        ("Throughput against concurrency", Axis("requests outstanding", log=True), outstanding),
    ):
        if len({of(workload) for workload in workloads}) < max(FEWEST, len(workloads)):
            continue
        rates: dict[str, list[tuple[float, float]]] = {}
        for workload in sorted(workloads, key=of):
            for name, contestant in workload["contestants"].items():
                rates.setdefault(name, []).append((of(workload), contestant["rate"]["median"]))
        yield caption, lines(rates, axis, Axis("messages a second", log=True))
        return


def body(workload: dict[str, Any]) -> float:
    """Bytes a message."""
    return float(workload["body"])


def outstanding(workload: dict[str, Any]) -> float:
    """Of the producers' requests."""
    return float(workload["producers"]["connections"] * workload["producers"]["outstanding"])


def latencies(run: dict[str, Any]) -> Iterator[Picture]:
    """Each workload's, and those that the scenario measured beside."""
    groups: dict[str, Series] = {}
    for workload in run["workloads"]:
        for name, contestant in workload["contestants"].items():
            latency = contestant["rounds"][0]["latency_us"]
            if latency and latency.get("distribution"):
                groups.setdefault(workload["title"], {})[name] = tail(latency)
    for path, found in walked(run["figures"], "distribution"):
        series = groups.setdefault("beside the workloads", {})
        if len(series) < MOST:
            series[path] = tail(found)
    for caption, series in groups.items():
        yield f"Latency: {caption}", lines(series, PERCENTILES, MICROSECONDS)


def tail(latency: dict[str, Any]) -> Points:
    """A distribution, spread out where it is rare: the 99th percentile is at one of a hundred."""
    return [(100 / (100 - percent), microseconds) for percent, microseconds in latency["distribution"]]


def over_time(run: dict[str, Any]) -> Iterator[Picture]:
    """The server, watched: the first round of each workload, and the run of a scenario that has no
    workloads."""
    memory: Series = {}
    backlog: Series = {}
    for workload in run["workloads"]:
        for name, contestant in workload["contestants"].items():
            samples = contestant["rounds"][0].get("timeline") or []
            if samples and len(memory) < MOST:
                label = f"{name}, {workload['name']}"
                memory[label] = [(each["at"], each["memory"]) for each in samples]
                backlog[label] = [(each["at"], each["backlog"]) for each in samples]
    yield "Memory in the first round", lines(memory, SECONDS, MEMORY)
    yield "Backlog in the first round", lines(backlog, SECONDS, BACKLOG)
    samples = run["figures"].get("timeline") or []
    yield "Memory over the run", lines({"daemon": pairs(samples, "memory")}, SECONDS, MEMORY)
    yield "Backlog over the run", lines({"messages": pairs(samples, "backlog")}, SECONDS, BACKLOG)


def pairs(samples: list[dict[str, Any]], what: str) -> Points:
    """Over time."""
    return [(each["at"], each[what]) for each in samples]


def growth(run: dict[str, Any]) -> Iterator[Picture]:
    """What each operation costs against how much there is."""
    for name, by_size in run["figures"].get("costs", {}).items():
        series: dict[str, list[tuple[float, float]]] = {}
        for size, costs in by_size.items():
            for what, cost in costs.items():
                series.setdefault(what, []).append((float(size), cost["worked"]))
        yield (
            f"Costs against {name}",
            lines(series, Axis(name, log=True), Axis("microseconds of processor")),
        )


def walked(figures: Any, key: str, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in there that has a key with something in it, and where it is."""
    if isinstance(figures, dict):
        if figures.get(key):
            yield path or "all", figures
        for name, inner in figures.items():
            yield from walked(inner, key, f"{path} {name}".strip())
    elif isinstance(figures, list):
        for number, inner in enumerate(figures, 1):
            yield from walked(inner, key, f"{path} {number}".strip())
