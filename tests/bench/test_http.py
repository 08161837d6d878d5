"""The http scenario: its requests are what the AWS face takes, and each figure misses its own target."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.contestants import Contestant, HttpDaemon, Nothing
from bench.figures import Check, ratios
from bench.httpwire import HttpWire
from bench.match import Crew, Workload, play
from bench.peers.servers import HTTP_PEERS, Moto
from bench.scenario import compared
from bench.scenarios import http
from bench.store import Store, astray
from bench.wire import UnexpectedAnswer
from tests.bench.test_command import RESULT

SENDS = Workload("sends", "sends", 1, Crew(2, 1), None, backlog=2**40, body=64)


def judged(
    *, sends: float = 35.0, batches: float = 200.0, drain: float = 0.8, verified: float = 12.5, lost: int = 0
) -> list[Check]:
    """The checks of a run with these figures, where the empty handler did 100 requests a second."""
    rounds = {
        http.EMPTY.name: [replace(RESULT, rate=100.0)],
        http.SIGNED.name: [replace(RESULT, rate=sends, server_us=verified)],
        http.UNVERIFIED.name: [RESULT],
        http.BINARY.name: [RESULT],
    }
    ten = {name: [replace(RESULT, rate=batches)] for name in rounds if name != http.EMPTY.name}
    drained = {name: ratios([drain], [1.0]) for name in ten}
    return http.checks(compared(http.SENDS, rounds), http.batched(ten, rounds), drained, lost)


def test_http_holds_when_every_figure_is_at_its_target() -> None:
    assert [check.name for check in judged() if not check.holds] == []


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ({"sends": 34.9}, "SendMessage, messages"),
        ({"batches": 199.0}, "SendMessageBatch"),
        ({"drain": 0.79}, "delete 10"),
        ({"verified": 12.6}, "verified"),
        ({"lost": 1}, "lost or doubled"),
    ],
)
def test_each_figure_of_http_misses_its_own_target(figures: dict[str, float], named: str) -> None:
    missed = [check.name for check in judged(**figures) if not check.holds]  # type: ignore[arg-type]
    assert len(missed) == 1
    assert named in missed[0]


def test_what_a_peer_loses_is_no_target() -> None:
    name = Moto.name
    bad = {name: [replace(RESULT, rate=1.0, lost=3)]}
    rounds = {each.name: [RESULT] for each in http.CONTESTANTS} | bad
    ten = {each.name: [RESULT] for each in http.DAEMONS} | bad
    drained = {each.name: ratios([1.0], [1.0]) for each in http.DAEMONS}
    checks = http.checks(compared(http.SENDS, rounds), http.batched(ten, rounds), drained, 0)
    assert checks[-1].measured == 0


@pytest.mark.parametrize(
    "contestant", [Nothing(), HttpDaemon(), *HTTP_PEERS], ids=lambda contestant: contestant.name
)
def test_signed_sends_are_counted(contestant: Contestant, tmp_path: Path) -> None:
    if isinstance(contestant, Moto) and not contestant.installed():
        pytest.skip("moto is not installed")  # nothing of Ropeway's depends on it
    server = contestant.start(tmp_path / "server")
    try:
        result = play(SENDS, server, tmp_path, seconds=0.2, warm_up=0.05)
    finally:
        server.stop()
    assert result.rate > 0
    assert (result.lost, result.doubled) == (0, 0)
    assert (result.sent > 0) == (result.left > 0) == (contestant.name != Nothing.name)


def test_what_is_sent_by_http_is_drained_by_http(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", HttpDaemon(), Crew(2, 1))
    try:
        sent = store.move("produce", "bench", 200)
        came = store.move("consume", "bench", 200)
    finally:
        store.close()
    assert sent.messages == 200
    assert astray(sent, came) == 0


@pytest.mark.parametrize("cut", [len, lambda answer: 1, lambda answer: answer.index(b"{") + 1])
def test_an_answer_is_taken_when_it_is_whole(cut: Callable[[bytes], int]) -> None:
    body = b'{"MessageId": "00000000-0000-0000-0000-000000000007"}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    wire, at = HttpWire(4566), cut(answer)
    said = wire.answers(answer[:at]) or wire.answers(answer[at:])
    assert said == [(1, 0, [bytes(15) + b"\x07"])]


def test_a_refused_part_of_a_batch_ends_the_run() -> None:
    body = b'{"Successful": [], "Failed": [{"Id": "0", "Code": "InvalidMessageContents"}]}'
    with pytest.raises(UnexpectedAnswer, match="InvalidMessageContents"):
        HttpWire(4566).answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
