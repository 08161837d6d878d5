"""The body of a request to a gateway: whatever a message holds stays one value of it."""

import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.deliveries.template import Template, WrongTemplate
from ropewayd.deliveries.text_message import TextMessage

JSON = '{"to": [{to}], "text": {text}, "from": {sender}, "kind": {type}, "id": {id}}'
FORM = "To={to}&Body={text}&From={sender}&Kind={type}&Id={id}"


def message(text: str, sender: str = "me") -> TextMessage:
    return TextMessage("id-1", "2026", "+4930123456", sender, "Promotional", text, None)


@given(
    text=st.text() | st.sampled_from(['", "to": "', "&To=+1", "{to}", "{{text}}", "\\u0022", "%26", "\\1"])
)
def test_a_message_is_one_value_of_it(text: str) -> None:
    assert json.loads(Template("json", JSON).filled(message(text))) == {
        "to": ["+4930123456"],
        "text": text,
        "from": "me",
        "kind": "Promotional",
        "id": "id-1",
    }
    filled = Template("form", FORM).filled(message(text)).decode("ascii")
    assert parse_qsl(filled, keep_blank_values=True, strict_parsing=True) == [
        ("To", "+4930123456"),
        ("Body", text),
        ("From", "me"),
        ("Kind", "Promotional"),
        ("Id", "id-1"),
    ]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '{"to": {to}}'),
        ("json", '{"to": {to}, "text": {text}, "x": {nothing}}'),
        ("json", '{"to": "{to}", "text": {text}}'),
        ("json", "To={to}&Body={text}"),
        ("form", "Body={text}"),
        ("form", "Tö={to}&Body={text}"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_at_the_start(form: str, text: str) -> None:
    with pytest.raises(WrongTemplate):
        Template("json" if form == "json" else "form", text)
