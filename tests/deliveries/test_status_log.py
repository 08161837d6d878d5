"""What the delivery status log holds: bounded, sampled, and without secrets."""

import gc
import tracemalloc
from typing import Any

import pytest

from ropewayd.deliveries.delivery import DELIVERED, REFUSED, RETRY, Answer
from ropewayd.deliveries.endpoint import without_secrets
from ropewayd.deliveries.settings import LogLimits
from ropewayd.deliveries.status_log import FAILED, Entry, StatusLog
from ropewayd.topics.feedback import success_rate
from ropewayd.topics.topic import Topic
from ropewayd.vocabulary.names import Scope
from tests.deliveries.making import delivery
from tests.house import START, StillClock

URL = "https://hooks.example.org/in"


def topic(number: int = 1) -> Topic:
    return Topic(number, f"news-{number}", Scope(), {}, START)


def attempt(
    log: StatusLog, outcome: str = DELIVERED, *, of: int = 1, said: str = "ok", rate: int = 100
) -> None:
    answer = Answer(outcome if outcome != FAILED else REFUSED, 200, said, 12)
    log.attempted(topic(of), delivery("https", URL), answer, outcome, rate)


def page(log: StatusLog, of: int = 1, *, failed: bool = False, after: int = 0, limit: int = 1000) -> Any:
    return log.page(of, failed=failed, after=after, limit=limit)


def held(log: StatusLog, of: int = 1, *, failed: bool = False) -> list[Entry]:
    found: list[Entry] = page(log, of, failed=failed)[0]
    return found


def test_an_entry_says_all_of_an_attempt() -> None:
    log = StatusLog(StillClock())
    log.attempted(
        topic(), delivery("https", f"{URL}?token=s3cret", attempt=3), Answer(RETRY, 500, "no", 7), RETRY, 0
    )
    [entry] = held(log)
    of = delivery("https", URL)
    assert (entry.at, entry.subscription, entry.message) == (START, of.subscription, of.message_id)
    assert (entry.protocol, entry.endpoint, entry.kind) == ("https", f"{URL}?****", "Notification")
    assert (entry.attempt, entry.outcome, entry.code, entry.duration, entry.answer) == (
        3,
        RETRY,
        500,
        7,
        "no",
    )


def test_successes_push_no_failure_out() -> None:
    log = StatusLog(StillClock(), LogLimits(entries=5))
    attempt(log, RETRY, said="the one")
    for n in range(100):
        attempt(log, said=str(n))
    assert [each.answer for each in held(log)] == ["the one", "95", "96", "97", "98", "99"]
    assert [each.answer for each in held(log, failed=True)] == ["the one"]
    for n in range(7):
        attempt(log, FAILED, said=str(n))
    assert [each.answer for each in held(log, failed=True)] == ["2", "3", "4", "5", "6"]


def test_nothing_is_remembered_where_that_is_asked_for() -> None:
    log = StatusLog(StillClock(), LogLimits(entries=0))
    attempt(log, RETRY)
    assert held(log) == []
    assert log.bytes == 0


def test_the_quietest_topic_makes_room_for_the_others() -> None:
    log = StatusLog(StillClock(), LogLimits(entries=1000, bytes=12_000))
    for of in (1, 2, 3):
        for n in range(5):
            attempt(log, RETRY, of=of, said=str(n))
    attempt(log, RETRY, of=1, said="news")
    for _ in range(6):
        attempt(log, RETRY, of=3, said="more")
    assert log.bytes <= 12_000
    assert held(log, 2) == []
    assert held(log, 1)[-1].answer == "news"
    assert len(held(log, 1)) < 6
    assert len(held(log, 3)) == 11


def test_memory_stays_within_the_limit() -> None:
    limit = 1 << 20
    log = StatusLog(StillClock(), LogLimits(entries=100_000, bytes=limit))
    gc.collect()
    tracemalloc.start()
    try:
        for n in range(20_000):
            made = delivery("https", f"{URL}/{n}", message_id=f"5b0f4f3e-0000-4000-8000-{n:012}")
            said = f"{n:06} no"
            log.attempted(topic(n % 50), made, Answer(RETRY, 500, said, 7), RETRY, 100)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert log.bytes <= limit
    assert used <= limit
    assert used >= limit // 4  # or what is counted has little to do with what is used


@pytest.mark.parametrize(("rate", "kept"), [(0, 0), (30, 30), (100, 100)])
def test_successes_are_sampled_and_failures_are_not(rate: int, kept: int) -> None:
    chances = iter(n / 100 for n in range(100))
    log = StatusLog(StillClock(), chance=lambda: next(chances))
    for _ in range(100):
        attempt(log, rate=rate)
        attempt(log, RETRY, rate=rate)
    assert len(held(log, failed=True)) == 100
    assert len(held(log)) == 100 + kept


def test_a_rate_counts_for_its_protocol() -> None:
    said = {"HTTPSuccessFeedbackSampleRate": "0", "LambdaSuccessFeedbackSampleRate": "7"}
    rates = {
        each: success_rate(said, each) for each in ("http", "https", "lambda", "firehose", "email", "sms")
    }
    assert rates == {"http": 0, "https": 0, "lambda": 7, "firehose": 100, "email": 100, "sms": 100}
    assert success_rate({"HTTPSuccessFeedbackSampleRate": "much"}, "http") == 100


def test_pages_go_through_all_in_order() -> None:
    log = StatusLog(StillClock())
    for n in range(25):
        attempt(log, DELIVERED if n % 3 else RETRY, said=str(n))
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        found, after = page(log, after=after, limit=10)
        assert 0 < len(found) <= 10
        seen += [each.answer for each in found]
    assert seen == [str(n) for n in range(25)]


def test_a_page_is_bounded_in_bytes() -> None:
    log = StatusLog(StillClock(), LogLimits(excerpt=1024))
    for _ in range(1000):
        attempt(log, RETRY, said="\N{GRINNING FACE}" * 1024)
    found, more = page(log)
    assert len(found) < 300
    assert more == found[-1].number


def test_numbers_rise_from_one_life_to_the_next() -> None:
    clock = StillClock()
    log = StatusLog(clock)
    log.open()
    attempt(log)
    attempt(log)
    [first, last] = held(log)
    assert START * 1000 < first.number < last.number
    clock.at += 1
    second = StatusLog(clock)
    second.open()
    assert second.last > last.number


def test_an_answer_is_cut() -> None:
    log = StatusLog(StillClock(), LogLimits(excerpt=4))
    attempt(log, said="abcdefgh")
    assert held(log)[0].answer == "abcd"


@pytest.mark.parametrize(
    ("protocol", "endpoint", "told"),
    [
        ("http", "http://h.example:81/a/b", "http://h.example:81/a/b"),
        ("https", "https://u:p@h.example/a?k=v&t=x#f", "https://****@h.example/a?****"),
        ("https", "HTTPS://u@h.example", "HTTPS://****@h.example"),
        ("https", "https://u:p@q@h.example/@b", "https://****@h.example/@b"),
        ("https", "https://h.example/#token", "https://h.example/?****"),
        ("sms", "+4930123456", "****3456"),
        ("email", "who@example.org", "who@example.org"),
        ("sqs", "arn:aws:sqs:us-east-1:000000000000:q", "arn:aws:sqs:us-east-1:000000000000:q"),
    ],
)
def test_an_endpoint_is_told_without_secrets(protocol: str, endpoint: str, told: str) -> None:
    assert without_secrets(protocol, endpoint) == told
