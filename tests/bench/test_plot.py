"""Plots: each value is where its axes say, and each is a picture by itself."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plot import Axis, Scale, lines, said

PLAIN, LOG = Axis("x"), Axis("y", log=True)
POINTS = st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e12)), max_size=30)


@given(POINTS, POINTS, st.booleans(), st.booleans())
def test_every_point_that_can_be_shown_is_within_the_picture(
    one: list[tuple[float, float]], other: list[tuple[float, float]], across: bool, up: bool
) -> None:
    drawn = lines({"one": one, "<other>": other}, Axis("a & b", log=across), Axis("y", log=up))
    shown = [[(a, b) for a, b in each if (a or not across) and (b or not up)] for each in (one, other)]
    if not any(shown):
        assert drawn == ""
        return
    picture = ET.fromstring(drawn)
    width, height = (float(picture.attrib[side]) for side in ("width", "height"))
    found = [line.attrib["points"].split() for line in picture.findall("polyline")]
    assert [len(each) for each in found] == [len(each) for each in shown if each]
    for x, y in (map(float, place.split(",")) for each in found for place in each):
        assert 0 <= x <= width
        assert 0 <= y <= height


@given(st.floats(1e-3, 1e12), st.floats(1.001, 1e9), st.sampled_from([PLAIN, LOG, Axis("MiB", unit=1 << 20)]))
def test_ticks_are_few_and_within_the_axis(low: float, times: float, axis: Axis) -> None:
    ticks = Scale.of([low, low * times], axis, 0, 100).ticks()
    assert ticks == sorted(ticks)
    assert len(ticks) <= 25
    assert all(low <= each <= low * times for each in ticks)


def test_a_power_is_a_straight_line_on_logarithmic_axes() -> None:
    scale = Scale.of([1, 100], LOG, 0, 100)
    assert [scale.at(each) for each in (1, 10, 100)] == [0, pytest.approx(50), 100]


def test_numbers_are_short() -> None:
    assert [said(each) for each in (0, 0.5, 1_000, 250_000, 2_000_000)] == ["0", "0.5", "1k", "250k", "2M"]
