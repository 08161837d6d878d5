"""`ropeway import`: lines of JSON, as `export` writes them, sent to a queue.

Rule 1: beside FILE stands FILE.imported while it is not through. It says which queue, which run and up to
which byte everything was accepted, and is renewed, as a whole, after each batch. So an import that was
interrupted goes on there. Rule 2: a message carries a token made of the run and its line: the batch that was
under way is recognised if it is sent again within five minutes, and is not stored twice.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

import ropeway
from ropeway.cli.exits import REFUSED, Exit, unreadable
from ropeway.cli.interruption import to_its_end
from ropeway.cli.lines import Chunk, Lines
from ropeway.cli.names import queue_names
from ropeway.cli.output import is_terminal, remark
from ropeway.cli.progress import Bar
from ropeway.cli.records import message_of
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import counted, harmless

STDIN = 0


@dataclass
class Place:
    """How far an import is: `offset` is in bytes."""

    queue: str
    run: str
    offset: int = 0
    lines: int = 0
    messages: int = 0


@click.command(
    "import",
    short_help="Send the messages of a file to a queue.",
    epilog="""\b
Examples:
  ropeway import jobs jobs.jsonl                  again after an interruption: it goes on
  ropeway export jobs | ropeway import other -
""",
)
@click.argument("queue", metavar="QUEUE", shell_complete=queue_names)
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, allow_dash=True))
@common_options
@click.pass_obj
def import_(session: Session, queue: str, *, file: str) -> None:
    """Send the messages in FILE, lines of JSON as export writes them, to QUEUE; - is standard input.

    They are new messages: body, attributes, trace header, group and deduplication id are those in the file,
    ids and times are not. If it is interrupted, the same command goes on where it was: FILE.imported says
    where that is, and is removed in the end.
    """
    path = None if file == "-" else Path(file)
    place = Place(queue, secrets.token_hex(8)) if path is None else _place(path, queue)
    if place.offset:
        remark(f"going on behind line {place.lines:,} of {file}")

    async def work(broker: ropeway.Broker) -> None:
        into = broker.queue(queue)
        with Bar(f"to {harmless(queue)}", total, shown=path is not None or not is_terminal(STDIN)) as bar:
            begun, before = place.offset, place.lines
            async for chunk in Lines(descriptor, file).chunks():
                await to_its_end(_send(into, chunk, place, before, file))
                place.offset = begun + chunk.end - chunk.rest
                place.lines = before + chunk.first + len(chunk.lines) - 1
                if path is not None:
                    _say(path, place)
                bar.at(place.offset, counted(place.messages, "message"))

    try:
        if path is None:
            descriptor, total = STDIN, None
            session.perform(work, queue)
        else:
            with path.open("rb", buffering=0) as opened:
                descriptor, total = opened.fileno(), os.fstat(opened.fileno()).st_size
                opened.seek(place.offset)
                session.perform(work, queue)
            _beside(path).unlink(missing_ok=True)
    except OSError as error:
        raise unreadable(file, error) from None
    drawn = f"Sent {counted(place.messages, 'message')} to queue {queue}."
    session.output.done(drawn, queue=queue, file=file, messages=place.messages)


async def _send(into: ropeway.Queue, chunk: Chunk, place: Place, before: int, file: str) -> None:
    messages: list[ropeway.Outgoing] = []
    for number, line in enumerate(chunk.lines, before + chunk.first):
        if not line:
            continue
        try:
            message = message_of(line, f"import-{place.run}-{number}")
        except ValueError as error:
            raise Exit(REFUSED, f"line {number:,} of {file} is no message: {error}") from None
        if message is not None:
            messages.append(message)
    if messages:
        await into.send_many(messages)
        place.messages += len(messages)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.imported")


def _place(path: Path, queue: str) -> Place:
    """Where to go on. Raises Exit if the file is on its way into another queue."""
    try:
        found: Any = json.loads(_beside(path).read_bytes())
    except FileNotFoundError:
        return Place(queue, secrets.token_hex(8))
    except (OSError, ValueError):
        found = None
    try:
        place = Place(**found)
    except TypeError:
        raise Exit(
            REFUSED, f"{_beside(path)} does not say how far the import is", "Remove it to begin anew."
        ) from None
    if place.queue != queue:
        hint = f"Remove {_beside(path)} to begin anew."
        raise Exit(REFUSED, f"{path} was on its way into queue {place.queue}", hint)
    return place


def _say(path: Path, place: Place) -> None:
    """On disk, as a whole, when this returns."""
    beside = _beside(path)
    fresh = beside.with_name(f"{beside.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(json.dumps(asdict(place)).encode())
        opened.flush()
        os.fsync(opened.fileno())
    fresh.replace(beside)
