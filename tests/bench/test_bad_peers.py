"""The bad-peers scenario: each kind comes, the healthy client is answered, and each ratio is judged."""

from pathlib import Path

from bench.badpeers import KINDS, MOST
from bench.scenarios import bad_peers as scenario


def test_each_kind_is_judged() -> None:
    found = {check.name.partition(":")[0]: check.holds for check in scenario.checks({"a": 3.0, "b": 3.1})}
    assert found == {"a": True, "b": False}


def test_the_healthy_client_is_answered_beside_each_kind(tmp_path: Path) -> None:
    server = scenario.DAEMON.start(tmp_path / "server")
    try:
        for name in ("slow bodies", "garbage", "large forms"):
            noticed = scenario.Noticed()
            scenario.one_round(server, name, noticed, 0.1)
            assert noticed.visits >= KINDS[name].peers
            assert noticed.alone_us.counts.total() > 0
            assert noticed.beside_us.counts.total() > 0
            assert noticed.ratio > 0
    finally:
        server.stop()


def test_what_they_say_is_as_large_as_is_taken() -> None:
    for name in ("large messages", "deep JSON", "large JSON", "large forms"):
        said = KINDS[name].says()
        assert MOST - 100 < len(said.partition(b"\r\n\r\n")[2]) <= MOST
