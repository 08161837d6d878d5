"""A match counts what was done, says what was lost or doubled, and fails when a process of it does."""

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.contestants import BareLoop, Contestant, ContestantFailed, Daemon
from bench.load import SENT, Plan, Tally
from bench.match import Crew, Worker, Workload, ids, latency, plan, play, verify
from bench.store import Store

CYCLE = Workload(
    name="cycle",
    title="a small full cycle",
    batch=10,
    producers=Crew(connections=2, outstanding=2),
    consumers=Crew(connections=2, outstanding=4),
    backlog=400,
)
SENDS = Workload(
    name="sends",
    title="nobody consumes",
    batch=3,
    producers=Crew(connections=2, outstanding=4),
    consumers=None,
    backlog=90,
)


@pytest.mark.parametrize("contestant", [BareLoop(), Daemon()], ids=lambda contestant: contestant.name)
def test_a_full_cycle_consumes_all_that_it_sends(contestant: Contestant, tmp_path: Path) -> None:
    server = contestant.start(tmp_path / "server")
    try:
        result = play(CYCLE, server, tmp_path, seconds=0.2, warm_up=0.05)
    finally:
        server.stop()
    assert result.sent == result.consumed > 0
    assert result.sent % CYCLE.batch == 0
    assert (result.left, result.lost, result.doubled) == (0, 0, 0)
    assert result.rate > 0
    assert result.server_us > 0
    assert result.load_us > 0
    assert 1 <= result.messages_a_receive <= CYCLE.batch
    assert result.latency_us is None


@pytest.mark.parametrize("contestant", [BareLoop(), Daemon()], ids=lambda contestant: contestant.name)
def test_producers_hold_back_when_nobody_consumes(contestant: Contestant, tmp_path: Path) -> None:
    server = contestant.start(tmp_path / "server")
    try:
        result = play(SENDS, server, tmp_path, seconds=0.3, warm_up=0.05)
    finally:
        server.stop()
    outstanding = SENDS.producers.connections * SENDS.producers.outstanding * SENDS.batch
    assert SENDS.backlog < result.sent <= SENDS.backlog + outstanding
    assert result.consumed == 0
    assert result.left == result.sent
    assert (result.lost, result.doubled) == (0, 0)


def test_a_load_without_its_server_fails_the_match(tmp_path: Path) -> None:
    server = BareLoop().start(tmp_path / "server")
    server.process.kill()
    server.process.wait()
    with pytest.raises(ContestantFailed):
        play(CYCLE, server, tmp_path, seconds=0.1, warm_up=0.0)
    with pytest.raises(ContestantFailed):
        server.stop()


def test_a_server_that_dies_in_a_match_fails_it(tmp_path: Path) -> None:
    server = BareLoop().start(tmp_path / "server")
    with Tally(tmp_path / "tally", create=True) as tally:
        worker = Worker(plan(SENDS, SENDS.producers, "produce", server, tmp_path))
        try:
            worker.ready()
            worker.tell()
            while tally.counts[SENT] == 0:
                pass
            server.process.kill()
            server.process.wait()
            with pytest.raises(ContestantFailed):
                worker.report()
        finally:
            worker.close()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ContestantFailed, match="--no-such-option"):
        Daemon("--no-such-option").start(tmp_path / "server")


def written(path: Path, *numbers: int) -> str:
    path.write_bytes(b"".join(number.to_bytes(16, "big") for number in numbers))
    return str(path)


@pytest.mark.parametrize(
    ("sent", "consumed", "left", "lost", "doubled"),
    [
        ((1, 2, 3), (3, 1, 2), 0, 0, 0),
        ((1, 2, 3), (1, 2), 1, 0, 0),
        ((1, 2, 3), (1, 2), 0, 1, 0),
        ((1, 2, 3), (), 0, 3, 0),
        ((1, 2, 3), (1, 2, 3, 3), 0, 0, 1),
        ((1, 2, 3), (1, 2, 2), 0, 1, 1),
        ((1, 2, 3), (1, 2, 3, 4), 0, 0, 1),
        ((1, 2, 2), (1, 2), 0, 0, 1),
        ((1, 2, 3), (1, 2, 3), 1, 0, 1),
    ],
)
def test_what_is_lost_or_doubled_is_counted(
    tmp_path: Path, sent: tuple[int, ...], consumed: tuple[int, ...], left: int, lost: int, doubled: int
) -> None:
    verified = verify(written(tmp_path / "sent", *sent), written(tmp_path / "consumed", *consumed), left)
    assert (verified.sent, verified.consumed, verified.left) == (len(sent), len(consumed), left)
    assert (verified.lost, verified.doubled) == (lost, doubled)


def test_ids_are_counted_one_by_one(tmp_path: Path) -> None:
    one, two = (1).to_bytes(16, "big"), (2).to_bytes(16, "big")
    assert ids(Path(written(tmp_path / "ids", 1, 2, 1))) == Counter({one: 2, two: 1})


def test_latency_is_told_where_there_was_any() -> None:
    measured = latency({"100": 99, "20": 1})
    assert measured is not None
    assert (measured.count, measured.p50, measured.highest) == (100, 100, 100)
    assert latency({}) is None


def test_sends_at_a_rate_are_timed_from_when_they_were_due(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", crew=Crew(2, 8), batch=2)
    daemon = store.server.process
    try:
        with store.load("produce", "bench", rate=400.0) as (worker, tally):
            daemon.send_signal(signal.SIGSTOP)
            worker.tell()
            time.sleep(0.4)
            halted_until = time.perf_counter()
            daemon.send_signal(signal.SIGCONT)
            while tally.counts[SENT] < 160:  # as many as were due in 0.4 s, of which 16 batches had a slot
                time.sleep(0.005)
            worker.tell()
            report = worker.report()
    finally:
        store.close()
    measured = latency(report["took"])
    assert measured is not None
    halt = (halted_until - report["began_at"]) * 1e6
    assert measured.highest >= 0.9 * halt
    assert measured.p50 >= 0.25 * halt  # those without a slot too were due, and waited


def test_a_plan_survives_the_command_line() -> None:
    asked = Plan(
        "consume", "bare", 1, connections=1, outstanding=2, batch=3, body=4, backlog=5, tally="t", ids="i"
    )
    assert '"role": "consume"' in asked.encoded()
    with pytest.raises(AssertionError):
        Plan("watch", "bare", 1, connections=1, outstanding=2, batch=3, body=4, backlog=5, tally="t", ids="i")
