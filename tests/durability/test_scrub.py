"""A bit flips in the store of a daemon that serves it, in a message that nobody asks for."""

from __future__ import annotations

import re
import time
from pathlib import Path

import ropeway.sync
from tests.daemon import PATIENCE, Daemon
from tests.service.wire import RECEIVE, Wire

MARK = b"the one that a bit flips in"
SETTINGS = {
    "ROPEWAY_KERNEL_SCRUB_ROUND": "2",
    "ROPEWAY_KERNEL_TAIL_BYTES": "1048576",
    "ROPEWAY_KERNEL_IDLE_SPILL_AFTER": "0.1",
    "ROPEWAY_STORE_WAL_BYTES": "1048576",
    "ROPEWAY_STORE_CACHE_BYTES": "1048576",
}


def test_a_daemon_finds_it_and_stops(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path, "--drain-timeout", "3600", environ=SETTINGS) as daemon,
        Wire(daemon.addresses[0]) as deaf,
    ):
        with ropeway.sync.connect(daemon.url) as broker:
            queue = broker.create_queue("jobs")
            queue.send(MARK + b"x" * 1000)
            for _ in range(40):  # so much that the pages of the first are in no cache any more
                queue.send_many([b"y" * 10_000] * 20)
            broker.create_queue("others").send_many([b"z" * 1_000_000] * 5)
        for _ in range(5):  # it takes no answers, and holds the end up no longer than a moment
            deaf.ask(RECEIVE, {"queue": "others", "max_messages": 5, "visibility_timeout": 0})
        file = daemon.data_dir / "ropeway.db"
        patience = time.monotonic() + PATIENCE
        with ropeway.sync.connect(daemon.url) as broker:
            while broker.show_store()["journal_rows"]:
                assert time.monotonic() < patience, "it is not spilled"
                time.sleep(0.05)
        while not (found := [each.start() for each in re.finditer(MARK, file.read_bytes())]):
            assert time.monotonic() < patience, "it is not folded in"
            time.sleep(0.05)
        with file.open("r+b") as database:
            for at in found:  # in its row, and where its journal row was
                database.seek(at)
                database.write(bytes([MARK[0] ^ 1]))
        assert daemon.wait() == 65
    assert "message" in daemon.log[-1]["event"]
    assert "is damaged: its checksum does not match" in daemon.log[-1]["event"]
