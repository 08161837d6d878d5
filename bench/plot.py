"""Plots as SVG that stands in a page by itself: bars with their spread, and lines over two axes.

An axis is linear or logarithmic. Logarithmic ones show a power as a straight line, and leave out what is not
above 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

Points = Sequence[tuple[float, float]]

_WIDTH, _BAR, _LABEL = 720, 22, 240
_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 260, 70, 200, 12, 44
_COLOURS = ("#369", "#c52", "#284", "#93a", "#a80", "#088", "#666", "#d49")
_TICKS = 5
"""Of a linear axis, about."""
_MOST_TICKS = 9
"""Of a logarithmic one."""


@dataclass(frozen=True)
class Axis:
    """What is shown along it. `unit`: by what a value is divided before it is written."""

    title: str
    log: bool = False
    unit: float = 1.0


def bars(spreads: Mapping[str, Mapping[str, Any]]) -> str:
    """A bar for each median, with a line from its lowest round to its highest."""
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
    return svg(len(spreads) * (_BAR + 8), drawn)


def lines(series: Mapping[str, Points], x: Axis, y: Axis) -> str:
    """A line for each series, with its name beside the plot. Nothing where there is nothing to show."""
    shown = {name: kept for name, points in series.items() if (kept := visible(points, x, y))}
    if not shown:
        return ""
    every = [point for points in shown.values() for point in points]
    across = Scale.of([point[0] for point in every], x, _LEFT, _WIDTH - _RIGHT)
    up = Scale.of([point[1] for point in every] + ([] if y.log else [0.0]), y, _HEIGHT - _BOTTOM, _TOP)
    drawn = [*grid(across, up)]
    for index, (name, points) in enumerate(shown.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        path = " ".join(f"{across.at(a):.1f},{up.at(b):.1f}" for a, b in points)
        height = _TOP + 16 * index + 8
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if len(points) <= 2 * _MOST_TICKS:
            drawn += [
                f'<circle cx="{across.at(a):.1f}" cy="{up.at(b):.1f}" r="3" fill="{colour}"/>'
                for a, b in points
            ]
        drawn.append(
            f'<rect x="{_WIDTH - _RIGHT + 14}" y="{height - 4}" width="10" height="10" fill="{colour}"/>'
            f'<text x="{_WIDTH - _RIGHT + 30}" y="{height + 5}">{escape(name)}</text>'
        )
    return svg(max(_HEIGHT, _TOP + 16 * len(shown) + 8), drawn)


def visible(points: Points, x: Axis, y: Axis) -> list[tuple[float, float]]:
    """Those that the axes can show."""
    return [(a, b) for a, b in points if (a > 0 or not x.log) and (b > 0 or not y.log)]


@dataclass(frozen=True)
class Scale:
    """Where values are along an axis, from one pixel to another."""

    axis: Axis
    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], axis: Axis, begin: float, end: float) -> Scale:
        """One on which all these values are."""
        low, high = min(values), max(values)
        if low == high:
            low, high = (low / 2, high * 2) if axis.log else (min(0.0, low), max(high, low + 1))
        return cls(axis, low, high, begin, end)

    def at(self, value: float) -> float:
        """A value's pixel."""
        low, high = self.low, self.high
        if self.axis.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """Round values within it."""
        if self.axis.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1, 2, 5) if last - first <= _MOST_TICKS // 3 else (1,)
            found = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        else:
            rough = (self.high - self.low) / self.axis.unit / _TICKS
            power = 10.0 ** math.floor(math.log10(rough))
            step = next(each for each in (1, 2, 5, 10) if each * power >= rough) * power * self.axis.unit
            found = [step * number for number in range(math.ceil(self.low / step), int(self.high / step) + 1)]
        return [each for each in found if self.low <= each <= self.high]


def grid(across: Scale, up: Scale) -> list[str]:
    """Both axes: lines, values and titles."""
    left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM
    width, middle, half = right - left, (left + right) // 2, (top + bottom) // 2
    drawn = [
        f'<rect x="{left}" y="{top}" width="{width}" height="{bottom - top}" fill="none" stroke="#999"/>',
        text(f'x="{middle}" y="{bottom + 36}"', "middle", across.axis.title),
        text(f'transform="translate(14 {half}) rotate(-90)"', "middle", up.axis.title),
    ]
    for value in across.ticks():
        at = across.at(value)
        drawn += [
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}" stroke="#eee"/>',
            text(f'x="{at:.1f}" y="{bottom + 18}"', "middle", said(value / across.axis.unit)),
        ]
    for value in up.ticks():
        at = up.at(value)
        drawn += [
            f'<line x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#eee"/>',
            text(f'x="{left - 6}" y="{at + 4:.1f}"', "end", said(value / up.axis.unit)),
        ]
    return drawn


def text(place: str, anchor: str, what: str) -> str:
    """Words at a place."""
    return f'<text {place} text-anchor="{anchor}">{escape(what)}</text>'


def said(value: float) -> str:
    """A number, in short."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def svg(height: float, drawn: Sequence[str]) -> str:
    """The picture."""
    return f'<svg width="{_WIDTH}" height="{height}" role="img">{"".join(drawn)}</svg>'
