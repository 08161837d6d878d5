"""The text message that a delivery becomes."""

from typing import Any

import pytest

from ropewayd.deliveries.text_message import text_message
from ropewayd.texting.text import NoText
from tests.deliveries.making import delivery


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_how_many_parts_it_travels_in(text: str, parts: int) -> None:
    assert text_message(delivery("sms", "+4930123456", body=text), "", "Promotional").parts == parts


@pytest.mark.parametrize(
    "number",
    ["", "4930123456", "+0930123456", "+49 30 123456", "+12345", "+1234567890123456", "+4930123456\n",
     "+49301234\u0665\u0666", "tel:+4930123456"],
)  # fmt: skip
def test_what_is_no_number_gets_none(number: str) -> None:
    with pytest.raises(NoText):
        text_message(delivery("sms", number), "", "Promotional")


def attributed(**attributes: str) -> Any:
    told = {f"AWS.SNS.SMS.{name}": ("String", value) for name, value in attributes.items()}
    return delivery("sms", "+4930123456", attributes=told)


def test_what_a_message_says_itself_counts() -> None:
    made = text_message(
        attributed(SenderID="Weather", SMSType="Transactional", MaxPrice="0.5"), "Other", "Promotional"
    )
    assert (made.sender, made.kind, made.max_price) == ("Weather", "Transactional", 0.5)
    made = text_message(attributed(), "Other", "Promotional")
    assert (made.sender, made.kind, made.max_price) == ("Other", "Promotional", None)


@pytest.mark.parametrize(
    "told",
    [{"SenderID": "way too long a name"}, {"SenderID": "a\nb"}, {"SMSType": "Other"}, {"MaxPrice": "much"}],
)
def test_what_it_says_is_checked(told: dict[str, str]) -> None:
    with pytest.raises(NoText):
        text_message(attributed(**told), "", "Promotional")
    with pytest.raises(NoText):
        text_message(delivery("sms", "+4930123456", body="x" * 1601), "", "Promotional")
