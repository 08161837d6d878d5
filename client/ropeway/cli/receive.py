"""`ropeway receive`: messages of a queue, written out.

A message counts as received when it is written. Rule 1: only then is it deleted (--delete). Rule 2: what was
fetched and not written goes back to the queue at once, whatever ends the command. So a message may be written
twice, and is never lost.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import click

import ropeway
from ropeway.backoff import Backoff
from ropeway.cli.exits import NOTHING, Exit, explain, unreadable
from ropeway.cli.interruption import to_its_end
from ropeway.cli.names import queue_argument, queue_names
from ropeway.cli.output import Json, Output, is_terminal, remark, say
from ropeway.cli.progress import Bar
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import (
    counted,
    duration,
    harmless,
    in_base64,
    local,
    read_duration,
    read_weights,
    stamp,
)
from ropeway.message import Body, TypedAttribute
from ropeway.queue import LONGEST_WAIT
from ropeway.stream import passes
from ropeway.wire import BATCH_LIMIT

Write = Callable[[ropeway.Message], None]
Ask = Callable[..., Awaitable[list[ropeway.Message]]]
"""`Queue.receive`, or the broker's for several queues."""
FOLLOWED = 100
"""Messages that --follow takes at once: few, so that none is hidden for long where the output is slow."""
RETRY = Backoff(first=0.2, factor=2.0, longest=5.0, jitter=0.5)


@click.command(
    short_help="Receive messages and print them.",
    epilog="""\b
Examples:
  ropeway receive jobs                            look at a message; it comes back
  ropeway receive jobs --delete                   take it for good
  ropeway receive jobs --wait 1m --delete         wait until there is one; exit code 3 if none came
  ropeway receive jobs --max 1000 --delete > bodies.txt
  ropeway receive jobs --follow --delete --json | jq -r .body
  ropeway receive pictures --delete --file cat.jpg
  ropeway receive urgent --or jobs --follow --delete
  ropeway receive paid --or free --weights 9,1 --follow --delete
\b
In a pipe each body is a line. A body may itself have several: --json keeps them apart.
""",
)
@queue_argument
@click.option(
    "--or",
    "others",
    multiple=True,
    metavar="QUEUE",
    shell_complete=queue_names,
    help="Another queue, for when those before it have no messages; can be given again.",
)
@click.option(
    "--weights",
    type=read_weights,
    metavar="N,N,...",
    help="With --or: take from a queue that is drawn by these shares, of 1 to 1,000, one for each queue.",
)
@click.option(
    "--wait",
    type=read_duration,
    metavar="DURATION",
    help="Wait so long for a message; the queue's receive-wait-time by default. With --follow: end when"
    " none comes for so long.",
)
@click.option(
    "--max", "most", type=click.IntRange(1), metavar="N", help="At most N messages: 1, or with --follow all."
)
@click.option("--delete", "mode", flag_value="delete", help="Delete each message when it is written out.")
@click.option(
    "--keep", "mode", flag_value="keep", help="Leave the messages in the queue. This is the default."
)
@click.option("--follow", "-F", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--visibility-timeout",
    type=read_duration,
    metavar="DURATION",
    help="Hide them so long from others; the queue's by default. 0s: not at all.",
)
@click.option(
    "--file", "-f", type=click.Path(), metavar="FILE", help="Write the body of one message to FILE."
)
@click.option("--raw", is_flag=True, help="Bodies exactly as they are, with nothing between them.")
@common_options
@click.pass_obj
def receive(
    session: Session,
    queue: str,
    *,
    others: tuple[str, ...],
    weights: list[int] | None,
    wait: float | None,
    most: int | None,
    mode: str | None,
    follow: bool,
    visibility_timeout: float | None,
    file: str | None,
    raw: bool,
) -> None:
    """Receive messages of QUEUE and print them.

    Unless you say --delete, nothing is taken away: a message that was printed stays in the queue, hidden from
    other receivers for the queue's visibility timeout, and can then be received again. --delete removes each
    message once it is written. Messages that were fetched and not written, because you pressed Ctrl-C or the
    output was closed, are given back at once.
    """
    if file is not None and (follow or (most or 1) > 1 or raw or session.json):
        raise click.UsageError("--file takes one body: no --follow, --max, --raw or --json with it")
    if raw and session.json:
        raise click.UsageError("give --raw or --json, not both")
    if weights is not None and len(weights) != 1 + len(others):
        raise click.UsageError("--weights has one number for each queue: QUEUE and those of --or")
    output = session.output
    write = _to_file(Path(file)) if file is not None else writer(output, raw=raw)
    receiver = Receiver(write, wait, most, follow=follow, delete=mode == "delete", hide=visibility_timeout)

    async def work(broker: ropeway.Broker) -> None:
        await receiver.run(broker, [queue, *others], weights)

    shown = file is None and not is_terminal(1) and not follow and (most or 1) > FOLLOWED
    with Bar(f"from {harmless(queue)}", most, shown=shown) as receiver.bar:
        session.perform(work, queue)
    if receiver.written == 0:
        remark(f"nothing to receive from {queue}")
        raise Exit(NOTHING)
    if mode is None:
        _say_what_is_kept(receiver.written, visibility_timeout)


def _say_what_is_kept(count: int, hide: float | None) -> None:
    period = "the queue's visibility timeout" if hide is None else duration(hide)
    remark(
        f"{counted(count, 'message')}, hidden for {period}, then back in the queue; --delete takes for good"
    )


class Receiver:
    """Fetches, has written, and settles what was fetched."""

    def __init__(
        self,
        write: Write,
        wait: float | None,
        most: int | None,
        *,
        follow: bool,
        delete: bool,
        hide: float | None,
    ) -> None:
        self._write = write
        self._wait = wait
        self._follow = follow
        self._delete = delete
        self._hide = hide
        self._most = most if most is not None or follow else 1
        self._seen: set[str] = set()
        self.written = 0
        self.bar: Bar | None = None

    async def run(self, broker: ropeway.Broker, queues: list[str], weights: list[int] | None) -> None:
        """All that was asked for, from the first of these that has any, or by weight."""
        first, *others = queues
        ask: Ask = partial(broker.receive, queues, weights=weights) if others else broker.queue(first).receive
        while self._most is None or self.written < self._most:
            messages = await self._fetch(ask)
            # What comes together is of one queue.
            if not messages or not await self._hand_out(messages[0].queue, messages):
                return

    async def _fetch(self, ask: Ask) -> list[ropeway.Message]:
        count = FOLLOWED if self._follow else BATCH_LIMIT
        if self._most is not None:
            count = min(count, self._most - self.written)
        if not self._follow and self.written:
            # The wait was for the first; of the others, what is there.
            return await ask(count, wait=0, visibility_timeout=self._hide)
        if not self._follow and self._wait is None:
            return await ask(count, visibility_timeout=self._hide)
        return await self._await_some(ask, count)

    async def _await_some(self, ask: Ask, count: int) -> list[ropeway.Message]:
        """Wait for as long as it takes, or as was allowed. --follow outlives a daemon that is away."""
        loop = asyncio.get_running_loop()
        ends_at = None if self._wait is None else loop.time() + self._wait
        failures = 0
        while True:
            left = LONGEST_WAIT if ends_at is None else max(0.0, ends_at - loop.time())
            try:
                wait = min(LONGEST_WAIT, left)
                messages = await ask(count, wait=wait, visibility_timeout=self._hide)
            except ropeway.RopewayError as error:
                if not self._follow or not passes(error) or left <= 0:
                    raise
                failures += 1
                say(f"trying again: {explain(error).sentence}")
                await asyncio.sleep(RETRY.delay(failures))
                continue
            failures = 0
            if messages or (ends_at is not None and loop.time() >= ends_at):
                return messages

    async def _hand_out(self, queue: ropeway.Queue, messages: Sequence[ropeway.Message]) -> bool:
        """Write these. False if they have begun to come round again, which ends a receive of many."""
        handed = 0
        try:
            for message in messages:
                if not self._delete and not self._follow:
                    if message.id in self._seen:
                        return False
                    self._seen.add(message.id)
                self._write(message)
                handed += 1
                self.written += 1
                if self.bar is not None:
                    self.bar.at(self.written, counted(self.written, "message"))
        finally:
            # One task: whatever ends the writing, each message is settled.
            await to_its_end(_settle(queue, messages[:handed] if self._delete else [], messages[handed:]))
        return True


async def _settle(
    queue: ropeway.Queue, taken: Sequence[ropeway.Message], left: Sequence[ropeway.Message]
) -> None:
    if left:
        await queue.release_many(left)
    if taken:
        await queue.delete_many(taken)


# How a message is written.


def writer(output: Output, *, raw: bool) -> Write:
    """How a message is written there."""
    if raw:
        return lambda message: output.write(_data(message.body))
    if output.json:
        return lambda message: output.record(_record(message))
    if output.drawn:
        return lambda message: output.line(_drawn(message, output))
    return lambda message: output.write(_data(message.body) + b"\n")


def _data(body: Body) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _record(message: ropeway.Message) -> dict[str, Json]:
    record: dict[str, Json] = {
        "id": message.id,
        "sent_at": stamp(message.sent_at),
        "first_received_at": stamp(message.first_received_at),
        "receive_count": message.receive_count,
        **{name: value for name, value in _place(message).items() if value is not None},
        "attributes": {name: _attribute(typed) for name, typed in message.typed_attributes.items()},
    }
    body = message.body
    return record | ({"body": body} if isinstance(body, str) else {"body_base64": in_base64(body)})


def _place(message: ropeway.Message) -> dict[str, str | None]:
    """What a FIFO queue tells besides."""
    return {
        "group": message.group,
        "sequence_number": message.sequence_number,
        "deduplication_id": message.deduplication_id,
    }


def _attribute(typed: TypedAttribute) -> dict[str, Json]:
    kind, value = typed
    return {"type": kind, "value": value if isinstance(value, str) else in_base64(value)}


def _drawn(message: ropeway.Message, output: Output) -> str:
    """For eyes: what is known of it above, the body below, and nothing in it that a terminal would obey."""
    facts = [f"sent {local(message.sent_at)}", f"received {counted(message.receive_count, 'time')}"]
    if message.group is not None:
        facts.append(f"group {harmless(message.group)}")
    if message.sequence_number is not None:
        facts.append(f"number {message.sequence_number}")
    for name, (kind, value) in message.typed_attributes.items():
        shown = value if isinstance(value, str) else f"{kind} of {counted(len(value), 'byte')}"
        facts.append(f"{name}={shown}")
    body = message.body
    try:
        text = harmless(body if isinstance(body, str) else body.decode())
    except UnicodeDecodeError:
        text = f"({counted(len(body), 'byte')}; --raw or --file writes them)"
    return f"{output.heading(message.id, '  '.join(facts))}\n{text}\n"


def _to_file(path: Path) -> Write:
    def write(message: ropeway.Message) -> None:
        try:
            with path.open("wb") as opened:
                opened.write(_data(message.body))
                opened.flush()
                if stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                    os.fsync(opened.fileno())  # the message may be deleted next
        except OSError as error:
            raise unreadable(str(path), error) from None

    return write
