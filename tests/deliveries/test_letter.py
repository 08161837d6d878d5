"""The e-mail that a delivery becomes, and that nothing in it can become more than it is."""

import json
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.deliveries.letter import NoAddress, address, letter
from tests.deliveries.making import ID, TOPIC, delivery

SENDER = address("ropeway@example.com")
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "List-Unsubscribe",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
}


def read(written: EmailMessage) -> EmailMessage:
    return message_from_bytes(bytes(written), policy=default)


def test_a_message_is_the_text_with_a_way_out() -> None:
    sent = delivery("email", "ann@example.org", body="Ünïcode\n" + "x" * 5000, subject="Weather")
    got = read(letter(sent, SENDER))
    assert (got["From"], got["To"], got["Subject"]) == (
        "news <ropeway@example.com>",
        "ann@example.org",
        "Weather",
    )
    assert got["List-Unsubscribe"].strip() == f"<{sent.unsubscribe_url}>"
    assert got["Message-ID"].startswith(f"<{ID}.")
    assert got.get_content().replace("\r", "").startswith(sent.body + "\n\n-- \n")
    assert sent.unsubscribe_url in got.get_content()
    assert bytes(letter(sent, SENDER)) == bytes(letter(sent, SENDER))


def test_addresses_of_the_web_stay_in_one_piece() -> None:
    url = "https://ropeway.example.com/?Action=Unsubscribe&SubscriptionArn=" + "arn:aws:sns:" * 20
    lines = bytes(letter(delivery("email", "ann@example.org", unsubscribe_url=url), SENDER)).split(b"\r\n")
    assert f"List-Unsubscribe: <{url}>".encode() in lines
    assert f"To get no more of these, open {url}".encode() in lines


def test_a_confirmation_has_the_link_or_the_token_where_there_is_none() -> None:
    asked = delivery("email", "ann@example.org", kind="SubscriptionConfirmation")
    assert asked.confirm_url in read(letter(asked, SENDER)).get_content()
    without = delivery("email", "ann@example.org", kind="SubscriptionConfirmation", confirm_url="")
    assert "t0k3n" in read(letter(without, SENDER)).get_content()


def test_email_json_is_the_envelope() -> None:
    sent = delivery("email-json", "ann@example.org", attributes={"n": ("Number", "1")})
    assert json.loads(read(letter(sent, SENDER)).get_content()) == {
        "Type": "Notification",
        "MessageId": ID,
        "TopicArn": TOPIC,
        "Message": "It rains.",
        "Timestamp": "2026-11-25T23:00:00.000Z",
        "UnsubscribeURL": sent.unsubscribe_url,
        "MessageAttributes": {"n": {"Type": "Number", "Value": "1"}},
    }


CLEAN = st.text(max_size=80) | st.sampled_from(["=?utf-8?q?=0d=0aX:y?=", "a\r\nX: y"])
ANY = st.text(st.characters(), max_size=80) | st.sampled_from(
    [
        "a\r\nBcc: eve@example.org",
        "a\nBcc: e@e",
        "\x85Bcc: e@e",
        "\u2028X: y",
        "=?utf-8?q?=0d=0aBcc:_e?=",
        "\ud800",
    ]
)


@given(subject=ANY, topic=CLEAN, body=ANY, url=CLEAN, id_=CLEAN)
def test_nothing_adds_a_header_or_a_part(subject: str, topic: str, body: str, url: str, id_: str) -> None:
    for protocol in ("email", "email-json"):
        sent = delivery(
            protocol, "ann@example.org", subject=subject, body=body, unsubscribe_url=url, message_id=id_
        )
        written = bytes(letter(sent, SENDER))
        got = message_from_bytes(written, policy=default)
        assert set(got.keys()) <= HEADERS
        assert len(got.keys()) == len(set(got.keys()))
        assert not got.is_multipart()
        assert [each.addr_spec for each in got["To"].addresses] == ["ann@example.org"]
        head = written.partition(b"\r\n\r\n")[0]
        assert b"Bcc" not in [line.partition(b":")[0] for line in head.splitlines()]


@pytest.mark.parametrize(
    "text",
    ["", "ann", "ann@", "@example.org", "a b@example.org", "a@example.org,b@example.org", "<a@example.org>",
     "a@example.org\r\nBcc: b@example.org", "a@example.org ", '"a b"@example.org', "a@b@c", "a..b@x.org",
     "a@-example.org", "a@[127.0.0.1]", "a@example.org>", "x" * 65 + "@example.org", "a@" + "x" * 300,
     "a@example.org\n", "a@ex\u2028ample.org", "-oQ/tmp a@example.org"],
)  # fmt: skip
def test_what_is_not_one_mailbox_has_no_letter(text: str) -> None:
    with pytest.raises(NoAddress):
        letter(delivery("email", text), SENDER)


@pytest.mark.parametrize(
    "text", ["ann@localhost", "a.b+c@mail.example.org", "änn@exämple.org", "o'neil@example.org"]
)
def test_a_plain_mailbox_has(text: str) -> None:
    assert address(text).addr_spec == text
