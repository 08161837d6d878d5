"""`ropeway queue peek`: messages, looked at and not received."""

from __future__ import annotations

from datetime import UTC, datetime

import click

import ropeway
from ropeway.cli.names import queue_argument
from ropeway.cli.output import Output, remark
from ropeway.cli.records import record_of
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import counted, duration, harmless, local, read_duration

STATES = ("visible", "in-flight", "delayed")
_WIDTH = 70


@click.command(
    epilog="""\b
Examples:
  ropeway queue peek jobs
  ropeway queue peek jobs --state in-flight --state delayed --max 50
  ropeway queue peek jobs-dead --json | jq -r .body
  ropeway queue peek jobs --older 1h --max 1000
\b
In a pipe a line has: sequence, state, seconds old, receive count, body (or a remark, for bytes).
""",
)
@queue_argument
@click.option(
    "--max", "most", type=click.IntRange(1), default=10, metavar="N", help="At most N messages: 10."
)
@click.option(
    "--state", "states", multiple=True, type=click.Choice(STATES), help="Only those; can be given again."
)
@click.option("--group", metavar="GROUP", help="Only messages of this group.")
@click.option(
    "--older", type=read_duration, metavar="DURATION", help="Only those sent so long ago or longer."
)
@click.option("--younger", type=read_duration, metavar="DURATION", help="Only those sent no longer ago.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="SEQUENCE", help="Begin behind this one.")
@common_options
@click.pass_obj
def peek(
    session: Session,
    queue: str,
    *,
    most: int,
    states: tuple[str, ...],
    group: str | None,
    older: float | None,
    younger: float | None,
    after: int,
) -> None:
    """Look at messages of QUEUE without receiving them: nothing about them changes.

    They come in the order of sending, whatever state they are in: visible, in flight (received and not yet
    deleted) or delayed.
    """
    output = session.output
    options = ropeway.PeekOptions(group=group, min_age=older or 0, max_age=younger)
    if states:
        named: dict[str, ropeway.State] = {
            "visible": "visible",
            "in-flight": "in_flight",
            "delayed": "delayed",
        }
        options["states"] = [named[each] for each in states]

    async def work(broker: ropeway.Broker) -> int:
        count = 0
        following: int | None = after
        while following is not None and count < most:
            page, following = await broker.queue(queue).page_peek(
                after=following, limit=min(1000, most - count), **options
            )
            for each in page:
                _write(output, each)
            count += len(page)
        if following is not None and count:
            remark(f"there may be more: --after {following}")
        return count

    if not session.perform(work, queue):
        remark(f"there is no such message in {queue}")


def _write(output: Output, message: ropeway.Peeked) -> None:
    if output.json:
        output.record(record_of(message))
        return
    age = max(0.0, (datetime.now(UTC) - message.sent_at).total_seconds())
    body = message.body
    text = body if isinstance(body, str) else f"({counted(len(body or b''), 'byte')})"
    if not output.drawn:
        fields = (message.sequence, message.state, round(age), message.receive_count, _one_line(text))
        output.line("\t".join(map(str, fields)))
        return
    facts = [message.state.replace("_", " "), f"sent {local(message.sent_at)}"]
    facts.append(f"received {counted(message.receive_count, 'time')}")
    if message.visible_at is not None:
        left = (message.visible_at - datetime.now(UTC)).total_seconds()
        facts.append(f"visible in {duration(float(max(0, round(left))))}")
    facts += [f"{name.replace('_', ' ')} {value}" for name, value in message.system.items()]
    shown = text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
    output.line(f"{output.heading(str(message.sequence), '  '.join(facts))}\n{_one_line(shown)}")


def _one_line(text: str) -> str:
    return harmless(text.replace("\t", " ").replace("\n", " "))
