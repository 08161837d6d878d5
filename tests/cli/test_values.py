"""Durations, sizes, attributes and bodies, as they are typed and shown."""

import re

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.cli.values import (
    duration,
    guess,
    harmless,
    read_attribute,
    read_duration,
    read_size,
    size,
)


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("30", 30), ("30s", 30), ("500ms", 0.5), ("5m", 300), ("12h", 43200), ("4d", 345600), ("1.5h", 5400)],
)
def test_a_duration_is_seconds_or_has_a_unit(typed: str, seconds: float) -> None:
    assert read_duration(typed) == seconds


@pytest.mark.parametrize("typed", ["", "s", "-5", "5 minutes", "1h30m", "nan", "inf", "5M", "0x10", "٣"])
def test_what_is_no_duration_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="12h"):
        read_duration(typed)


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        ("1024", 1024),
        ("1KiB", 1024),
        ("256KiB", 262144),
        ("1MiB", 1048576),
        ("1kb", 1000),
        ("0.5MiB", 524288),
    ],
)
def test_a_size_is_bytes_or_has_a_unit(typed: str, count: int) -> None:
    assert read_size(typed) == count


@pytest.mark.parametrize("typed", ["", "KiB", "-1", "1GiB", "1 parsec"])
def test_what_is_no_size_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="256KiB"):
        read_size(typed)


@given(st.integers(0, 2 * 10**9))
def test_a_duration_is_shown_as_it_can_be_typed(milliseconds: int) -> None:
    assert read_duration(duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.integers(0, 2**40))
def test_a_size_is_shown_as_it_can_be_typed(count: int) -> None:
    assert read_size(size(count)) == count


def test_an_attribute_has_a_name_a_type_and_a_value() -> None:
    assert read_attribute("colour=String:red") == ("colour", ("String", "red"))
    assert read_attribute("size=Number.px:640") == ("size", ("Number.px", "640"))
    assert read_attribute("raw=Binary:AP8=") == ("raw", ("Binary", b"\x00\xff"))
    assert read_attribute("link=String:http://x/?a=b") == ("link", ("String", "http://x/?a=b"))


@pytest.mark.parametrize(
    "typed", ["", "a", "a=b", "=String:b", "a=:b", "raw=Binary:not base64", "raw=Binary:é"]
)
def test_what_is_no_attribute_is_refused(typed: str) -> None:
    with pytest.raises(click.BadParameter):
        read_attribute(typed)


@given(st.binary())
def test_a_body_is_never_changed_by_the_guess_of_its_type(data: bytes) -> None:
    body = guess(data)
    assert (body.encode() if isinstance(body, str) else body) == data
    assert guess(data, as_bytes=True) == data


def test_a_body_is_text_only_if_it_can_be_read() -> None:
    assert guess("grüße\n\tund\r\n".encode()) == "grüße\n\tund\r\n"
    assert guess(b"\x1b[31mred") == b"\x1b[31mred"
    assert guess(b"\xff\xfe") == b"\xff\xfe"


@given(st.text())
def test_nothing_shown_has_power_over_the_terminal(text: str) -> None:
    shown = harmless(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    if text.isprintable():
        assert shown == text
