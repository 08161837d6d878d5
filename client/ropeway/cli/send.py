"""`ropeway send`: a message from an argument, a file or standard input, or one for each line."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

import ropeway
from ropeway.cli import lines
from ropeway.cli.exits import REFUSED, Exit, explain, unreadable
from ropeway.cli.interruption import to_its_end
from ropeway.cli.names import queue_argument
from ropeway.cli.output import Output, is_terminal, remark, say
from ropeway.cli.progress import Bar
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import argument, counted, guess, harmless, read_attribute, read_duration
from ropeway.message import TypedAttribute

REPORTED = 10
"""Refused lines that are told one by one."""
STDIN = 0


@dataclass
class Envelope:
    """What all messages of one command have in common."""

    delay: float | None
    attributes: dict[str, TypedAttribute]
    as_bytes: bool
    group: str | None
    deduplication_id: str | None

    def around(self, body: bytes) -> ropeway.Outgoing:
        """A message to send."""
        return ropeway.Outgoing(
            guess(body, as_bytes=self.as_bytes),
            self.delay,
            self.attributes or None,
            group=self.group,
            deduplication_id=self.deduplication_id,
        )


@click.command(
    short_help="Send messages.",
    epilog="""\b
Examples:
  ropeway send jobs "resize cat.jpg"
  ropeway send jobs "resize cat.jpg" --delay 5m --attribute colour=String:red
  ropeway send pictures --file cat.jpg
  date | ropeway send jobs -                      all of standard input is one message
  ropeway send jobs --lines --file urls.txt       each line is one
  tail -f access.log | ropeway send log --lines > /dev/null
  ropeway send orders.fifo "paid" --group customer-7 --deduplication-id order-42-paid
\b
A body that begins with - goes behind --, as in: ropeway send jobs -- -5
""",
)
@queue_argument
@click.argument("body", required=False)
@click.option("--file", "-f", "file", type=click.Path(), metavar="FILE", help="Send what is in FILE.")
@click.option("--lines", "by_line", is_flag=True, help="A message for each line of FILE or standard input.")
@click.option(
    "--delay",
    type=read_duration,
    metavar="DURATION",
    help="Hide it so long: 0s to 15m; the queue's by default.",
)
@click.option(
    "--attribute",
    "-a",
    "attributes",
    type=read_attribute,
    multiple=True,
    metavar="NAME=TYPE:VALUE",
    help="TYPE is String, Number or Binary (in base64). Repeatable.",
)
@click.option(
    "--group", metavar="GROUP", help="The message group; a FIFO queue requires it and keeps its order."
)
@click.option(
    "--deduplication-id",
    metavar="ID",
    help="FIFO: a message with the same ID within 5 minutes is accepted, and not stored again.",
)
@click.option("--bytes", "as_bytes", is_flag=True, help="Send bytes, even what could be text.")
@common_options
@click.pass_obj
def send(
    session: Session,
    queue: str,
    body: str | None,
    *,
    file: str | None,
    by_line: bool,
    delay: float | None,
    attributes: tuple[tuple[str, TypedAttribute], ...],
    group: str | None,
    deduplication_id: str | None,
    as_bytes: bool,
) -> None:
    """Send messages to QUEUE: BODY, all of standard input (-), a file, or its lines.

    Prints the id of each message when it is on disk. A body is text if its bytes can be read as text
    (UTF-8), and bytes otherwise; nothing is added or taken away. With --lines, line ends are not part of the
    bodies, empty lines are skipped, and lines are sent as they come.
    """
    if by_line and body not in (None, "-"):
        raise click.UsageError("--lines reads standard input or a --file: give no BODY with it")
    if file is not None and body is not None:
        raise click.UsageError("give BODY or --file, not both")
    if file is None and body is None and not by_line:
        raise click.UsageError("nothing to send: give BODY, - for standard input, --file FILE or --lines")
    repeated = [name for name, count in Counter(name for name, _ in attributes).items() if count > 1]
    if repeated:
        raise click.UsageError(f"attribute {repeated[0]} is given twice")
    if by_line and deduplication_id is not None:
        raise click.UsageError("--deduplication-id is of one message: with --lines the others would go")
    envelope = Envelope(delay, dict(attributes), as_bytes, group, deduplication_id)
    if by_line:
        with _opened(file) as (descriptor, name):
            _send_lines(session, queue, envelope, descriptor, name)
        return
    if body is not None and body != "-":
        data = argument(body)
    else:
        with _opened(file) as (descriptor, name):
            if is_terminal(descriptor):
                remark("reading the body from the terminal; Ctrl-D ends it")
            data = lines.whole(descriptor, name)
    _send_one(session, queue, envelope.around(data))


@contextlib.contextmanager
def _opened(file: str | None) -> Iterator[tuple[int, str]]:
    if file is None or file == "-":
        yield STDIN, "standard input"
        return
    try:
        with Path(file).open("rb", buffering=0) as opened:
            yield opened.fileno(), file
    except OSError as error:
        raise unreadable(file, error) from None


def _send_one(session: Session, queue: str, message: ropeway.Outgoing) -> None:
    async def work(broker: ropeway.Broker) -> str:
        into = broker.queue(queue)
        [message_id] = await into.send_many([message])
        return message_id

    message_id = session.perform(work, queue)
    session.output.done(f"Sent {message_id} to {queue}.", (message_id,), id=message_id)


def _send_lines(session: Session, queue: str, envelope: Envelope, descriptor: int, name: str) -> None:
    output = session.output
    total = _length(descriptor)
    tally = Tally()

    async def work(broker: ropeway.Broker) -> None:
        into = broker.queue(queue)
        async for chunk in lines.Lines(descriptor, name).chunks():
            numbered = [(number, line) for number, line in enumerate(chunk.lines, chunk.first) if line]
            tally.skipped += len(chunk.lines) - len(numbered)
            if numbered:
                # An interruption waits for the answer, so that what is told in the end is exact.
                await to_its_end(_send_chunk(into, envelope, numbered, tally, output))
            bar.at(chunk.end, f"{counted(tally.accepted, 'message')} sent")

    try:
        with Bar(f"to {harmless(queue)}", total, shown=not is_terminal(descriptor)) as bar:
            session.perform(work, queue)
    except Exit as end:
        if not tally.seen:
            raise
        were = "was" if tally.accepted == 1 else "were"
        done = f"{counted(tally.accepted, 'message')} {were} sent, the last from line {tally.last:,}"
        if not end.sentence:
            say(done if tally.accepted else "no message was sent")
            raise
        raise Exit(
            end.code, f"{end.sentence} ({done})" if tally.accepted else end.sentence, end.hint
        ) from None
    finally:
        tally.report()
    if tally.refused:
        raise Exit(REFUSED, f"{counted(tally.refused, 'line')} refused, {tally.accepted:,} sent")
    skipped = f" ({counted(tally.skipped, 'empty line')} skipped)" if tally.skipped else ""
    if output.drawn:
        output.line(f"Sent {counted(tally.accepted, 'message')} to {harmless(queue)}{skipped}.")


@dataclass
class Tally:
    """What became of the lines."""

    accepted: int = 0
    refused: int = 0
    skipped: int = 0
    last: int = 0
    """The number of the last line that was accepted."""
    refusals: list[tuple[int, Exit]] = field(default_factory=list)

    @property
    def seen(self) -> bool:
        """Whether any line was sent, with success or without."""
        return self.accepted > 0 or self.refused > 0

    def take(self, number: int, result: str | ropeway.RopewayError) -> None:
        """The result of one line."""
        if isinstance(result, str):
            self.accepted += 1
            self.last = number
            return
        self.refused += 1
        if len(self.refusals) < REPORTED:
            self.refusals.append((number, explain(result)))

    def report(self) -> None:
        """Say which lines were refused, and why."""
        for number, why in self.refusals:
            say(f"line {number:,}: {why.sentence}", error=True)
        if self.refused > len(self.refusals):
            say(f"and {counted(self.refused - len(self.refusals), 'more line')}")


async def _send_chunk(
    into: ropeway.Queue, envelope: Envelope, numbered: list[tuple[int, bytes]], tally: Tally, output: Output
) -> None:
    """Send these lines and print their ids.

    A line that is refused for what is in it does not stop the others; any other error does.
    """
    results: list[str | ropeway.RopewayError]
    try:
        results = [*await into.send_many(envelope.around(line) for _, line in numbered)]
    except ropeway.BatchError as error:
        results = error.results
    except (ropeway.InvalidMessageContents, ropeway.InvalidParameterValue) as error:
        if not tally.seen:
            raise  # every line would be refused
        results = [error] * len(numbered)
    ids: list[str] = []
    end: ropeway.RopewayError | None = None
    for (number, _), result in zip(numbered, results, strict=True):
        if isinstance(result, str):
            ids.append(_line(output, number, result))
        elif not isinstance(result, (ropeway.InvalidMessageContents, ropeway.InvalidParameterValue)):
            end = end or result
            continue
        tally.take(number, result)
    if ids and not output.drawn:
        output.write("".join(ids).encode())
    if end is not None:
        raise end


def _line(output: Output, number: int, message_id: str) -> str:
    return f'{{"line": {number}, "id": "{message_id}"}}\n' if output.json else f"{message_id}\n"


def _length(descriptor: int) -> int | None:
    """The bytes to come, where the descriptor is a file."""
    try:
        status = os.fstat(descriptor)
        return status.st_size - os.lseek(descriptor, 0, os.SEEK_CUR) if stat.S_ISREG(status.st_mode) else None
    except OSError:
        return None
