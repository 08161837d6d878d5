"""One line an event, readable or JSON, and nothing in it that nobody should read."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ropewayd import logs
from ropewayd.logs import UNSPEAKABLE, log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers


def said(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_where_nobody_looks() -> None:
    stream = io.StringIO()
    logs.configure("info", "auto", stream)
    log.info("ready", addresses=["127.0.0.1:4565"], seconds=0.25)
    (line,) = said(stream)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line.pop("timestamp").endswith("Z")  # type: ignore[attr-defined]
    assert line == {"level": "info", "event": "ready", "addresses": ["127.0.0.1:4565"], "seconds": 0.25}


def test_readable_on_a_terminal() -> None:
    stream = Terminal()
    logs.configure("info", "auto", stream)
    log.info("ready", seconds=0.25)
    assert not stream.getvalue().startswith("{")
    assert "\033[" in stream.getvalue()
    plain = io.StringIO()
    logs.configure("info", "console", plain)
    log.info("ready", seconds=0.25)
    assert "ready" in plain.getvalue()
    assert "seconds=0.25" in plain.getvalue()
    assert "\033[" not in plain.getvalue()


def test_the_level_decides() -> None:
    stream = io.StringIO()
    logs.configure("warning", "json", stream)
    log.info("no")
    log.warning("yes")
    assert [line["event"] for line in said(stream)] == ["yes"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_body_key_or_handle(form: str) -> None:
    stream = io.StringIO()
    logs.configure("debug", form, stream)  # type: ignore[arg-type]
    log.info("oops", **dict.fromkeys(UNSPEAKABLE, "SECRET"))
    log.info("oops", message_bytes=b"SECRET")
    assert "SECRET" not in stream.getvalue()
    assert "(6 bytes)" in stream.getvalue()


def test_what_json_has_no_word_for_is_written_as_text() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    log.info("stop", reason=OSError(5, "Input/output error"), many={1, 2}, lines="a\nb")
    assert said(stream)[0]["reason"] == "[Errno 5] Input/output error"


def test_libraries_speak_the_same_way_in_one_line() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream)
    logging.getLogger("asyncio").info("not this")
    try:
        raise ValueError("SECRET")
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: SECRET")
    (line,) = said(stream)
    assert (line["event"], line["logger"], line["error"], line["level"]) == (
        "Task exception was never retrieved",
        "asyncio",
        "ValueError",
        "error",
    )
    assert "SECRET" not in stream.getvalue()
