"""AWS's rule for text, character by character, and what a batch counts."""

from typing import Any

import pytest

from ropewayd.queues.contents import BATCH_BYTES, batch_bytes, check_text, fits
from ropewayd.vocabulary.errors import InvalidMessageContents
from tests.house import ATTRIBUTES, House


def allowed(point: int) -> bool:
    return (
        point in (0x9, 0xA, 0xD)
        or 0x20 <= point <= 0xD7FF
        or 0xE000 <= point <= 0xFFFD
        or 0x10000 <= point <= 0x10FFFF
    )


def test_every_character_is_judged_as_the_rule_says() -> None:
    points = [*range(0x3000), *range(0xD000, 0xE100), *range(0xFF00, 0x10100), *range(0x10FF00, 0x110000)]
    wrong = [hex(point) for point in points if fits(chr(point)) != allowed(point)]
    assert wrong == []
    assert all(fits(f"a{chr(point)}b") == allowed(point) for point in range(0x100))


@pytest.mark.parametrize("text", ["", "a\x00", "\ufffe", "x\x0b"])
def test_what_does_not_fit_is_told_with_the_field(text: str) -> None:
    error = check_text(text, "MessageBody")
    assert isinstance(error, InvalidMessageContents)
    assert error.field == "MessageBody"
    assert "MessageBody" in error.message


def test_what_fits_is_no_error() -> None:
    assert check_text("grüße\r\n\t🚠", "MessageBody") is None


def test_a_batch_counts_bodies_and_attributes() -> None:
    entries: list[tuple[str | bytes, dict[str, tuple[str, Any]] | None]] = [
        ("ü", None),
        (b"\x00\x01", {"n": ("Number", "12"), "b": ("Binary", b"123")}),
        ("x" * (BATCH_BYTES - 22), {}),
    ]
    assert batch_bytes(entries) == 2 + 2 + (1 + 6 + 2) + (1 + 6 + 3) + BATCH_BYTES - 22 == BATCH_BYTES + 1


async def test_the_queue_itself_takes_any_text_and_the_trace_header_does_not_count(house: House) -> None:
    await house.create(maximum_message_size=1024)
    (answer,) = await house.send("\x00" + 1023 * "x", trace_header="Root=1")
    assert type(answer) is bytes
    assert await house.bodies() == ["\x00" + 1023 * "x"]


async def test_an_attribute_s_name_may_have_any_letters(house: House) -> None:
    await house.create()
    await house.send("x", attributes={"größe.in_m-1": ("Number", "1")})
    assert (await house.receive())[0][ATTRIBUTES] == {"größe.in_m-1": ("Number", "1")}
