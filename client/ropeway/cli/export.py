"""`ropeway export`: the messages of a queue as lines of JSON, looked at and not received.

Nothing is taken from the queue, so nothing can be lost. Rule 1: a page of lines is on disk before the next is
asked for. Rule 2: the first line says which queue it is, and each other one the message's place in it. So an
export that was interrupted goes on behind its last whole line, and only in a file of the same queue.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import BufferedRandom
from pathlib import Path
from typing import Any

import click

import ropeway
from ropeway.cli.draining import drain as drained
from ropeway.cli.exits import REFUSED, Exit, unreadable
from ropeway.cli.names import queue_argument
from ropeway.cli.output import Json, is_terminal
from ropeway.cli.progress import Bar
from ropeway.cli.records import record_of
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import counted, harmless, stamp

PAGE = 1000
"""Messages that are asked for at one time."""


@click.command(
    short_help="Write the messages of a queue to a file.",
    epilog="""\b
Examples:
  ropeway export jobs jobs.jsonl                  again after an interruption: it goes on
  ropeway export jobs | jq -r .body
  ropeway import other jobs.jsonl
  ropeway export jobs jobs.jsonl --drain          take them out of the queue
""",
)
@queue_argument
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(dir_okay=False))
@click.option("--drain", is_flag=True, help="Receive the messages, and delete them when they are in FILE.")
@common_options
@click.pass_obj
def export(session: Session, queue: str, *, file: str | None, drain: bool) -> None:
    """Write all messages of QUEUE to FILE, or to standard output, as lines of JSON.

    It looks at the messages and receives none: the queue stays as it is. If it is interrupted, the same
    command goes on behind the last message in FILE. So it also adds to a finished FILE what came since.

    With --drain it takes what can be received out of the queue, and deletes a message when it is on disk in
    FILE; what is in flight or delayed stays. An interruption loses nothing, and the same command goes on.
    """
    if drain and file is None:
        raise click.UsageError("--drain takes a FILE: what is deleted must be on disk")
    output = session.output

    async def work(broker: ropeway.Broker) -> int:
        source = broker.queue(queue)
        found = await source.attributes()
        total = found["visible"] + found["in_flight"] + found["delayed"]
        heading: dict[str, Json] = {
            "ropeway_export": 1,
            "queue": found["arn"],
            "created_at": stamp(found["created_at"]),
        }
        if drain:
            heading["drained"] = True
        with Bar(f"from {harmless(queue)}", total, shown=not is_terminal(1) or file is not None) as bar:
            if file is None:
                output.record(heading)
                return await _copy(source, 0, output.write, bar)
            try:
                with _opened(Path(file)) as target:
                    after, ids = _resume(target, heading, file)
                    if drain:
                        return await drained(source, ids, lambda data: _keep(target, data), bar)
                    return await _copy(source, after, lambda data: _keep(target, data), bar)
            except OSError as error:
                raise unreadable(file, error) from None

    count = session.perform(work, queue)
    if file is not None:
        done = "Moved" if drain else "Wrote"
        drawn = f"{done} {counted(count, 'message')} of queue {queue} to {file}."
        output.done(drawn, queue=queue, file=file, messages=count)


async def _copy(source: ropeway.Queue, after: int, write: Callable[[bytes], None], bar: Bar) -> int:
    count = 0
    following: int | None = after
    while following is not None:
        page, following = await source.page_peek(after=following, limit=PAGE)
        lines = [json.dumps(record_of(each), ensure_ascii=False) + "\n" for each in page]
        write("".join(lines).encode())
        count += len(page)
        bar.at(count, counted(count, "message"))
    return count


def _opened(path: Path) -> BufferedRandom:
    """To be read and added to; made, for its owner alone, if it is not there."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _keep(target: BufferedRandom, data: bytes) -> None:
    """On disk when this returns."""
    target.write(data)
    target.flush()
    os.fsync(target.fileno())


def _resume(target: BufferedRandom, heading: dict[str, Json], file: str) -> tuple[int, set[str]]:
    """Behind which message to go on, and, where the queue is drained, the ids of all that are there; what is
    left of a line that was cut short is removed. Raises Exit if the file is of something else."""
    last: bytes = b""
    ids: set[str] = set()
    end = 0
    for number, line in enumerate(target):
        if not line.endswith(b"\n"):
            break
        if number == 0 and _read(line) != heading:
            raise Exit(
                REFUSED,
                f"{file} is no export of this queue",
                "Name another file. A queue that was deleted and made anew is another one, and --drain has "
                "files of its own.",
            )
        if number and "drained" in heading:
            ids.add(str(_read(line).get("id")))
        last, end = line, end + len(line)
    target.seek(end)
    target.truncate()
    if not end:
        _keep(target, json.dumps(heading).encode() + b"\n")
        return 0, ids
    found = _read(last)
    return int(found.get("sequence", 0)), ids


def _read(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
