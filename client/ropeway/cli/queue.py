"""`ropeway queue`: make queues, look at them, change and remove them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

import ropeway
from ropeway.cli import picture
from ropeway.cli.exits import RANGES, REFUSED, Exit
from ropeway.cli.names import queue_argument, queue_names
from ropeway.cli.output import Json
from ropeway.cli.peek import peek
from ropeway.cli.redrive import dead_letter_options, flat, redrive, take_policies
from ropeway.cli.session import Session, common_options
from ropeway.cli.tags import tag, untag
from ropeway.cli.values import (
    counted,
    duration,
    harmless,
    local,
    read_duration,
    read_size,
    size,
    stamp,
)
from ropeway.queue import PEEK_PAGE, wire_settings
from ropeway.wire import Action

Command = TypeVar("Command", bound=Callable[..., Any])
Row = tuple[str, int, int, int]

MEANINGS = {
    "visibility_timeout": "How long a received message stays hidden from others",
    "delay": "How long a new message stays hidden",
    "retention_period": "How long a message is kept",
    "receive_wait_time": "How long a receive waits for a message unless it says",
    "maximum_message_size": "The most that a body and its attributes may measure",
    "maximum_delay": "The longest delay, of a message and of the queue",
    "policy": "The access policy, as JSON",
    "kms_master_key_id": "A KMS key's id",
    "kms_data_key_reuse_period": "How long one data key of that is used",
    "sqs_managed_sse_enabled": "Whether it is encrypted with a key of the queue service",
}
CHOICES = {
    "deduplication_scope": (
        ("queue", "messageGroup"),
        "FIFO: where a deduplication id means the same message",
    ),
    "fifo_throughput_limit": (
        ("perQueue", "perMessageGroupId"),
        "FIFO: perMessageGroupId, with the scope messageGroup, is high throughput",
    ),
}
DEFAULTS = {
    "visibility_timeout": "30s",
    "delay": "0s",
    "retention_period": "4d",
    "receive_wait_time": "0s",
    "maximum_message_size": "1MiB",
    "maximum_delay": "15m",
    "kms_data_key_reuse_period": "5m",
    "sqs_managed_sse_enabled": "true",
}
_KINDS: dict[str, tuple[Any, str]] = {
    "maximum_message_size": (read_size, "SIZE"),
    "policy": (str, "JSON"),
    "kms_master_key_id": (str, "ID"),
    "sqs_managed_sse_enabled": (bool, "BOOLEAN"),
}
"""How an option is read and what it is called; the others are durations."""
AT_ONCE = 100
"""Queues whose numbers are asked for together."""


def setting_options(*, defaults: bool) -> Callable[[Command], Command]:
    """An option for each setting of a queue."""

    def decorate(command: Command) -> Command:
        for name, (choices, meaning) in reversed(CHOICES.items()):
            option = "--" + name.replace("_", "-")
            default = f"; {choices[0]} by default" if defaults else ""
            text = f"{meaning}{default}."
            command = click.option(option, name, type=click.Choice(choices), help=text)(command)
        command = click.option(
            "--content-based-deduplication/--no-content-based-deduplication",
            "content_based_deduplication",
            default=None,
            help="FIFO: the SHA-256 of its body stands for a deduplication id where none is given.",
        )(command)
        for name, meaning in reversed(MEANINGS.items()):
            default = f"; {DEFAULTS[name]} by default" if defaults and name in DEFAULTS else ""
            text = f"{meaning}{': ' + RANGES[name] if name in RANGES else ''}{default}."
            option = "--" + name.replace("_", "-")
            read, metavar = _KINDS.get(name, (read_duration, "DURATION"))
            command = click.option(option, name, type=read, metavar=metavar, help=text)(command)
        return dead_letter_options(command)

    return decorate


def _given(settings: dict[str, Any]) -> ropeway.QueueSettings:
    policies = take_policies(settings)
    found: Any = {name: value for name, value in settings.items() if value is not None} | policies
    given: ropeway.QueueSettings = found
    return given


@click.group()
def queue() -> None:
    """Make queues, look at them, change and remove them."""


for each in (peek, redrive, tag, untag):
    queue.add_command(each)


@queue.command(
    epilog="""\b
Examples:
  ropeway queue create jobs
  ropeway queue create jobs --visibility-timeout 5m --retention-period 14d
  ropeway queue create mail --delay 30s --maximum-message-size 256KiB
  ropeway queue create orders.fifo --fifo --content-based-deduplication
  ropeway queue create jobs --dead-letter-queue jobs-dead --max-receive-count 5
"""
)
@click.argument("queue", metavar="QUEUE")
@click.option(
    "--fifo",
    is_flag=True,
    default=None,
    help="Keep order within message groups, and take no duplicates. The name ends in .fifo.",
)
@setting_options(defaults=True)
@common_options
@click.pass_obj
def create(session: Session, /, queue: str, **settings: Any) -> None:
    """Make a queue, unless it is there.

    It is an error if it is there with another value for a setting that you give. A name is 1 to 80 of
    A-Z, a-z, 0-9, - and _, and ends in .fifo if the queue is a FIFO queue.
    """

    async def work(broker: ropeway.Broker) -> tuple[str, bool]:
        # Broker.create_queue does not tell whether the queue was there before.
        attributes = wire_settings(_given(settings))
        match await broker.link.call(Action.CreateQueue, {"queue": queue, "attributes": attributes}):
            case {"arn": str(arn), "created": bool(created)}:
                return arn, created
        raise ropeway.ProtocolError("the daemon's answer to CreateQueue has the wrong shape")

    arn, created = session.perform(work, queue)
    drawn = f"Created queue {queue}." if created else f"Queue {queue} was there already."
    plain = (queue, "created" if created else "exists")
    session.output.done(drawn, plain, queue=queue, arn=arn, created=created)


@queue.command(
    "list",
    epilog="""\b
Examples:
  ropeway queue list
  ropeway queue list mail-                        those whose names begin with mail-
  ropeway queue list --names | xargs -n1 ropeway queue purge --yes
  ropeway queue list --json | jq -r 'select(.visible > 1000).queue'
\b
In a pipe a line has: name, visible, in flight, delayed.
""",
)
@click.argument("prefix", default="", shell_complete=queue_names)
@click.option("--names", is_flag=True, help="Names alone, which is quicker.")
@click.option("--account", metavar="DIGITS", help="Those of this account; by default the daemon's own.")
@click.option("--region", metavar="REGION", help="Those of this region; by default the daemon's own.")
@common_options
@click.pass_obj
def list_(session: Session, prefix: str, *, names: bool, account: str | None, region: str | None) -> None:
    """List the queues, with how many messages are in them (approximately).

    Visible ones can be received, those in flight were received and are not yet deleted, delayed ones are
    still to come.
    """
    output = session.output

    async def work(broker: ropeway.Broker) -> int:
        found = 0
        rows: list[Row] = []
        async for chunk in _chunks(broker.list_queues(prefix, account=account, region=region)):
            found += len(chunk)
            if names:
                for each in chunk:
                    output.done(each.name, (each.name,), queue=each.name)
                continue
            numbers = await asyncio.gather(*map(_numbers, chunk))
            rows += [row for row in numbers if row is not None]
            if not output.drawn:  # a table needs all of its rows, a pipe had better have them now
                output.rows(COLUMNS, rows)
                rows.clear()
        if rows:
            output.rows(COLUMNS, rows)
        return found

    if not session.perform(work) and output.drawn:
        which = f" whose name begins with {prefix}" if prefix else ""
        output.line(f"There is no queue{harmless(which)}. `ropeway queue create NAME` makes one.")


COLUMNS = ("queue", "visible", "in_flight", "delayed")


async def _chunks(queues: AsyncIterator[ropeway.Queue]) -> AsyncIterator[Sequence[ropeway.Queue]]:
    chunk: list[ropeway.Queue] = []
    async for each in queues:
        chunk.append(each)
        if len(chunk) == AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _numbers(queue: ropeway.Queue) -> Row | None:
    try:
        found = await queue.attributes()
    except ropeway.QueueDoesNotExist:
        return None  # deleted since it was listed
    return queue.name, found.get("visible", 0), found.get("in_flight", 0), found.get("delayed", 0)


@queue.command(
    epilog="""\b
Examples:
  ropeway queue show jobs
  ropeway queue show jobs --json | jq .visible
  ropeway queue show jobs | awk '$1 == "visible" { print $2 }'
\b
In a pipe and in JSON, durations are seconds, sizes bytes and times ISO 8601 in UTC.
"""
)
@queue_argument
@common_options
@click.pass_obj
def show(session: Session, queue: str) -> None:
    """Show a queue's settings and how many messages are in it.

    On a terminal there is a small picture too: in which states the messages are, and how old.
    """
    output = session.output

    async def work(broker: ropeway.Broker) -> tuple[ropeway.QueueAttributes, list[float]]:
        of = broker.queue(queue)
        return await of.attributes(), await _ages(of) if output.drawn else []

    said, ages = session.perform(work, queue)
    found = flat(said)
    shown = {"queue": queue} | {name: _shown(name, value) for name, value in found.items()}
    plain = {"queue": queue} | {name: _plain(value) for name, value in found.items()}
    output.pairs({name.replace("_", " "): value for name, value in shown.items()}, plain)
    if output.drawn:
        numbers = {
            "visible": said.get("visible", 0),
            "in_flight": said.get("in_flight", 0),
            "delayed": said.get("delayed", 0),
        }
        bars = [picture.states(numbers), picture.ages(ages, sum(numbers.values()))]
        for lines in filter(None, bars):
            output.line("\n" + "\n".join(lines))


async def _ages(queue: ropeway.Queue) -> list[float]:
    """Of the first messages, in seconds."""
    now = datetime.now(UTC)
    found: list[float] = []
    following: int | None = 0
    while following is not None and len(found) < picture.LOOKED_AT:
        page, following = await queue.page_peek(after=following, limit=PEEK_PAGE, bodies=False)
        found += [(now - each.sent_at).total_seconds() for each in page]
    return found


def _shown(name: str, value: object) -> str:
    match value:
        case datetime():
            return local(value)
        case bool():
            return "yes" if value else "no"
        case float():
            return duration(value)
        case int():
            return size(value) if name == "maximum_message_size" else f"{value:,}"
    return str(value)


def _plain(value: object) -> Json:
    match value:
        case datetime():
            return stamp(value)
        case bool():
            return value
        case float() if value.is_integer():
            return int(value)
        case int() | float():
            return value
    return str(value)


@queue.command(
    "set",
    epilog="""\b
Examples:
  ropeway queue set jobs --visibility-timeout 10m
  ropeway queue set jobs --retention-period 14d --receive-wait-time 20s
  ropeway queue set jobs --dead-letter-queue ""
""",
)
@queue_argument
@setting_options(defaults=False)
@common_options
@click.pass_obj
def set_(session: Session, /, queue: str, **settings: Any) -> None:
    """Change settings of a queue; those that you do not name stay."""
    given = _given(settings)
    if not given:
        raise click.UsageError("nothing to change: give at least one setting")

    async def work(broker: ropeway.Broker) -> None:
        await broker.queue(queue).set(**given)

    session.perform(work, queue)
    session.output.done(f"Changed queue {queue}.", queue=queue)


@queue.command(
    epilog="""\b
Examples:
  ropeway queue purge jobs
  ropeway queue purge jobs --yes
"""
)
@queue_argument
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def purge(session: Session, queue: str, *, yes: bool) -> None:
    """Delete all messages of a queue, those in flight and delayed too.

    On a terminal it asks first.
    """
    _confirm(session, queue, "Delete {messages} of queue {queue}?", yes=yes)

    async def work(broker: ropeway.Broker) -> None:
        await broker.queue(queue).purge()

    session.perform(work, queue)
    session.output.done(f"Purged queue {queue}.", queue=queue)


@queue.command(
    epilog="""\b
Examples:
  ropeway queue delete jobs
  ropeway queue delete jobs --yes
"""
)
@queue_argument
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def delete(session: Session, queue: str, *, yes: bool) -> None:
    """Delete a queue and all that is in it.

    On a terminal it asks first.
    """
    _confirm(session, queue, "Delete queue {queue} with {messages}?", yes=yes)

    async def work(broker: ropeway.Broker) -> None:
        await broker.queue(queue).delete()

    session.perform(work, queue)
    session.output.done(f"Deleted queue {queue}.", queue=queue)


def _confirm(session: Session, queue: str, question: str, *, yes: bool) -> None:
    """Ask a person, and tell how much is at stake. Raises Exit unless the answer is yes."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return

    async def work(broker: ropeway.Broker) -> int:
        found = await broker.queue(queue).attributes()
        return found.get("visible", 0) + found.get("in_flight", 0) + found.get("delayed", 0)

    count = session.perform(work, queue)
    messages = f"all {counted(count, 'message')}" if count > 1 else counted(count, "message")
    try:
        agreed = click.confirm(question.format(queue=harmless(queue), messages=messages), err=True)
    except click.Abort:  # Ctrl-D, which leaves the cursor behind the question
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Exit(REFUSED, "Nothing was changed.")
