"""What costs a peer little and would hold everybody up is bounded before it is read."""

import gzip
import json
import random
from collections.abc import Generator
from typing import TypeVar
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewayd.protocols.aws import body, query
from ropewayd.queues import contents
from ropewayd.vocabulary.errors import MalformedRequest
from tests.protocols.aws.raw import Http

T = TypeVar("T")
PIECES = st.sampled_from(
    [b"%", b"=", b"%41", b"%zz", b"%4", b"\r", b"\n", b"%0A", b"x", b"\xff", b"%%", b"_"]
)


@given(st.lists(PIECES | st.binary(max_size=3)).map(b"".join))
def test_escapes_are_read_as_the_standard_library_reads_them(raw: bytes) -> None:
    assert query._unquoted(raw) == unquote_to_bytes(raw)


@given(st.binary())
def test_what_was_quoted_is_read_again(raw: bytes) -> None:
    assert query._unquoted(quote_from_bytes(raw).encode()) == raw


def test_a_long_parameter_s_percent_signs_begin_escapes() -> None:
    assert query.parse(b"a=" + b"%41" * 100_000, 10) == {"a": "A" * 100_000}
    with pytest.raises(MalformedRequest):
        query.parse(b"a=" + b"%4" * 100_000, 10)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])), st.booleans())
def test_what_fits_at_a_glance_fits(text: str, ascii_only: bool) -> None:
    said = json.dumps(text, ensure_ascii=ascii_only).encode()
    assert contents.fits(text) or not body.fits(said)


@pytest.mark.parametrize("text", [*map(chr, range(0x20)), "\x7f", "\ufffe", "a\\b", "\\u0001"])
def test_controls_do_not_fit_at_a_glance(text: str) -> None:
    test_what_fits_at_a_glance_fits.hypothesis.inner_test(text, ascii_only=True)  # type: ignore[attr-defined]


QUOTED = st.binary(max_size=40).map(lambda raw: quote_from_bytes(raw).encode())
FORMS = st.lists(st.tuples(QUOTED, st.sampled_from([b"", b"=", b"=+", b"&"]), QUOTED), max_size=6)


@given(FORMS, st.integers(3, 12))
def test_a_form_means_the_same_by_turns(parts: list[tuple[bytes, bytes, bytes]], piece: int) -> None:
    form = b"&".join(b"".join(part) for part in parts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(query, "PIECE", piece)
        assert by_turns(form) == at_once(form)


def at_once(form: bytes) -> dict[str, str] | None:
    """None: it is malformed."""
    try:
        return query.parse(form, 50)
    except MalformedRequest:
        return None


def by_turns(form: bytes) -> dict[str, str] | None:
    try:
        return to_its_end(query.parse_by_turns(form, 50))
    except MalformedRequest:
        return None


def to_its_end(steps: Generator[None, None, T]) -> T:
    """What comes of it when all steps were done."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


@given(st.lists(st.text(), max_size=50), st.integers(0, 50))
def test_no_call_with_few_strings_is_refused(texts: list[str], more: int) -> None:
    said = ",".join(text_as_json(text) for text in texts).encode()
    to_its_end(body.check_strings(b"[" + said + b"]", len(texts) + more))


def text_as_json(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_strings_without_number_are_not_read(http: Http) -> None:
    url = http.json("CreateQueue", {"QueueName": "bounds"}).json["QueueUrl"]
    many = b"".join(b'"%d":"",' % number for number in range(100_000))
    said = http.json("SetQueueAttributes", b'{"Attributes":{' + many + b'"x":""}}')
    assert (said.status, said.json["message"]) == (400, "The request has more than 2000 strings.")
    # One long string that is full of quotes is one string.
    assert http.json("SendMessage", {"QueueUrl": url, "MessageBody": '{"a": "b\\"}' * 80_000}).status == 200
    # As is what most of AWS's clients escape.
    assert http.json("SendMessage", {"QueueUrl": url, "MessageBody": "ä" * (1 << 19)}).status == 200


def test_a_batch_of_hundreds_is_not_read(http: Http) -> None:
    entries = {f"SendMessageBatchRequestEntry.{n}.Id": str(n) for n in range(101)}
    said = http.query("SendMessageBatch", QueueUrl="bounds", **entries)
    assert (said.status, said.xml[0][1].text) == (400, "MalformedInput")


def test_a_body_is_not_packed_beyond_all_measure(http: Http) -> None:
    headers = {"Content-Encoding": "gzip", "X-Amz-Target": "AmazonSQS.ListQueues"}
    for blanks, status in ((1 << 20, 200), (3 << 20, 413)):
        with Http(f"http://{http.host}") as peer:
            said = peer.ask("POST", "/", headers, gzip.compress(b" " * blanks + b"{}"))
            assert said.status == status


@given(st.integers(body.LIKELY - 3, body.LIKELY + 3), st.integers(0, 9))
@settings(max_examples=30)
def test_what_is_packed_at_any_length_is_whole_again(length: int, level: int) -> None:
    said = random.Random(length).randbytes(length // 20) * 20
    assert to_its_end(body.unpack(gzip.compress(said, level), "gzip", 4 << 20)) == said
