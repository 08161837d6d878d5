"""The index of what is finished: a consumer of the results, and the SQLite database that it keeps.

    python index.py --url unix:/path/to/socket --database index.sqlite --sheet contact-sheet.html

Plain code without asyncio, by `ropeway.sync`. A result is deleted when it is committed here, so none is lost;
and since a result may come more than once, two keys recognise a repetition: the id of the message (this very
result again) and the name of the video (the work was done again). Neither changes the index.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import signal
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import ropeway
import sheet
from jobs import RESULTS, Result

SCHEMA = """
CREATE TABLE IF NOT EXISTS videos (
    name TEXT PRIMARY KEY, file TEXT NOT NULL, seconds REAL NOT NULL, source_bytes INTEGER NOT NULL,
    target_bytes INTEGER NOT NULL, worker TEXT NOT NULL, attempt INTEGER NOT NULL, took REAL NOT NULL,
    error TEXT, thumbnail BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS arrivals (
    message TEXT PRIMARY KEY, name TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL,
    worker TEXT NOT NULL, times INTEGER NOT NULL
) STRICT;
"""
SHEET_INTERVAL = 1.0
"""Seconds between two versions of the contact sheet."""

logger = logging.getLogger("index")


@dataclass(frozen=True)
class Video:
    """A row of the index."""

    name: str
    file: str
    seconds: float
    source_bytes: int
    target_bytes: int
    worker: str
    attempt: int
    took: float
    error: str | None
    thumbnail: bytes


class Index:
    """The database. `add` is one transaction, durable when it returns."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.executescript(SCHEMA)

    def add(self, message_id: str, result: Result, thumbnail: bytes) -> bool:
        """Whether this result says something new. A success takes the place of a failure."""
        with self._connection as transaction:
            [times] = transaction.execute(
                "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, 1)"
                " ON CONFLICT (message) DO UPDATE SET times = times + 1 RETURNING times",
                (message_id, result.name, result.job, result.attempt, result.worker),
            ).fetchone()
            if times > 1:
                return False
            changed = transaction.execute(
                "INSERT INTO videos VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " (file, seconds, source_bytes, target_bytes, worker, attempt, took, error, thumbnail) ="
                " (excluded.file, excluded.seconds, excluded.source_bytes, excluded.target_bytes,"
                " excluded.worker, excluded.attempt, excluded.took, NULL, excluded.thumbnail)"
                " WHERE videos.error IS NOT NULL AND excluded.error IS NULL",
                (
                    result.name,
                    Path(result.target).name,
                    result.seconds,
                    result.source_bytes,
                    result.target_bytes,
                    result.worker,
                    result.attempt,
                    result.took,
                    result.error,
                    thumbnail,
                ),
            )
            return changed.rowcount == 1

    def videos(self) -> list[Video]:
        """All rows, by name."""
        return [Video(*row) for row in self._connection.execute("SELECT * FROM videos ORDER BY name")]

    def arrivals(self) -> int:
        """How many results came, each time counted."""
        [count] = self._connection.execute("SELECT coalesce(sum(times), 0) FROM arrivals").fetchone()
        return int(count)

    def close(self) -> None:
        self._connection.close()


def take_results(results: ropeway.sync.Queue, index: Index, page: Path) -> None:
    """For ever: the stream of results outlives restarts of the daemon."""
    written_at = 0.0
    try:
        for message in results:
            result = Result.parse(message.text)
            thumbnail = message.attributes.get("thumbnail", b"")
            is_new = index.add(message.id, result, thumbnail if isinstance(thumbnail, bytes) else b"")
            tell("indexed" if is_new else "repeated", result)
            try:
                message.delete()
            except ropeway.RopewayError as error:
                logger.warning("a result was not deleted, it will come again: %s", error)
            if time.monotonic() - written_at > SHEET_INTERVAL:
                sheet.write(page, index.videos())
                written_at = time.monotonic()
    finally:
        sheet.write(page, index.videos())


def tell(event: str, result: Result) -> None:
    """On standard output, a JSON object a line."""
    said = {"event": event, "name": result.name, "worker": result.worker, "error": result.error}
    print(json.dumps(said), flush=True)


def stop_on_signals() -> None:
    """SIGTERM and SIGINT end the program wherever it is: what was not deleted will come again."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, stop)


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description="The index of the transcoding site.")
    options.add_argument("--url", default=None, help="the daemon; otherwise $ROPEWAY_URL")
    options.add_argument("--database", type=Path, required=True)
    options.add_argument("--sheet", type=Path, required=True, help="the contact sheet, an HTML file")
    given = options.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    stop_on_signals()
    with contextlib.closing(Index(given.database)) as index, ropeway.sync.connect(given.url) as broker:
        take_results(broker.queue(RESULTS), index, given.sheet)


if __name__ == "__main__":
    main()
