"""The fifo-groups scenario: its sends have groups and ids, and each figure misses its own target."""

from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from bench.figures import Check
from bench.growth import Cost
from bench.lone import receives
from bench.scenario import compared
from bench.scenarios import fifo_groups as scenario
from bench.store import Store, astray
from bench.wire import CREATE, FifoWire
from tests.bench.test_command import RESULT

FULL = Cost(took=200.0, worked=20.0)
EMPTY = Cost(took=100.0, worked=10.0)


def judged(
    *,
    cycle: float = 65.0,
    lost: int = 0,
    long: Cost = FULL,
    blocked: Cost = FULL,
    undrained: int = 0,
) -> list[Check]:
    """The checks of a run with these figures, where the standard queue did 100 messages a second."""
    rounds = {"standard": [RESULT], "FIFO": [replace(RESULT, rate=cycle, lost=lost)]}
    found = {scenario.LONG: (long, EMPTY), scenario.BLOCKED: (blocked, EMPTY)}
    return scenario.checks(compared(scenario.CYCLE, rounds), found, undrained)


def test_fifo_groups_hold_when_every_figure_is_at_its_target() -> None:
    assert [check.name for check in judged() if not check.holds] == []


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ({"cycle": 64.0}, "full cycle"),
        ({"long": replace(FULL, took=201.0)}, "a long queue, in ratio to an empty one, time"),
        ({"long": replace(FULL, worked=21.0)}, "a long queue, in ratio to an empty one, processor time"),
        ({"blocked": replace(FULL, took=201.0)}, "blocked group, in ratio to an empty one, time"),
        ({"blocked": replace(FULL, worked=21.0)}, "blocked group, in ratio to an empty one, processor time"),
        ({"lost": 1}, "lost or doubled"),
        ({"undrained": 1}, "lost or doubled"),
    ],
)
def test_each_figure_of_fifo_groups_misses_its_own_target(figures: dict[str, object], named: str) -> None:
    missed = [check.name for check in judged(**figures) if not check.holds]  # type: ignore[arg-type]
    assert len(missed) == 1
    assert named in missed[0]


def test_a_send_that_is_renewed_has_the_next_groups_and_new_ids() -> None:
    wire = FifoWire("q.fifo", groups=3)
    request = wire.send(7, [b"group000 is no place", b"two"])
    sent = [msgpack.unpackb(wire.renewed(request)[4:]) for _ in range(3)]
    assert all(slot == 7 for slot, _, _ in sent)
    entries = [entry for _, _, parameters in sent for entry in parameters["entries"]]
    assert [entry["body"] for entry in entries] == [b"group000 is no place", b"two"] * 3
    first = int(entries[0]["group"])
    assert [int(entry["group"]) for entry in entries] == [(first + n) % 3 for n in range(6)]
    assert len({entry["deduplication_id"] for entry in entries}) == 6
    assert len({len(entry["deduplication_id"]) for entry in entries}) == 1


def test_receives_from_fifo_queues_are_timed_in_turns(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", scenario.FIFO)
    try:
        for queue in (scenario.EMPTY, scenario.BLOCKED, scenario.LONG):
            store.server.ask(CREATE, queue=queue, attributes={"fifo": True})
        scenario.block(store, 300)
        found = receives(store.server, [scenario.BLOCKED, scenario.EMPTY], groups=10, turns=3)
        sent = store.move("produce", scenario.LONG, 300, groups=10)
        came = store.move("consume", scenario.LONG, 300)
    finally:
        store.close()
    assert all(each.took > 0 and each.worked > 0 for each in found)
    assert astray(sent, came) == 0
