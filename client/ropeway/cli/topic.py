"""`ropeway topic`: make topics, look at them, publish to them, subscribe queues to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import click

import ropeway
from ropeway.cli import lines
from ropeway.cli.deliveries import deliveries
from ropeway.cli.names import queue_names
from ropeway.cli.output import Json, is_terminal, remark
from ropeway.cli.receive import writer
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import argument, counted, guess, read_attribute, read_size, read_time
from ropeway.message import TypedAttribute

STDIN = 0
topic_argument = click.argument("topic", metavar="TOPIC")


@click.group()
def topic() -> None:
    """Make topics, look at them, publish to them, subscribe queues to them."""


@topic.command(
    epilog="""\b
Examples:
  ropeway topic create news
  ropeway topic create orders.fifo --fifo --content-based-deduplication
""",
)
@topic_argument
@click.option("--display-name", metavar="TEXT", help="What people are shown.")
@click.option(
    "--maximum-message-size",
    type=read_size,
    metavar="SIZE",
    help="The most that a message and its attributes may measure: 1KiB to 1MiB; 256KiB by default.",
)
@click.option("--fifo", is_flag=True, default=None, help="A FIFO topic; its name ends in .fifo.")
@click.option(
    "--content-based-deduplication",
    is_flag=True,
    default=None,
    help="FIFO: the SHA-256 of its body stands for a deduplication id where none is given.",
)
@click.option(
    "--archive-days",
    type=click.IntRange(1, 365),
    metavar="DAYS",
    help="FIFO: keep what is published for so many days, to be replayed; not kept by default.",
)
@common_options
@click.pass_obj
def create(session: Session, /, topic: str, **settings: Any) -> None:
    """Make a topic, unless it is there.

    It is an error if it is there with another value for a setting that you give. A name is 1 to 256 of
    A-Z, a-z, 0-9, - and _, and ends in .fifo if the topic is a FIFO topic.
    """
    given = {name: value for name, value in settings.items() if value is not None}

    async def work(broker: ropeway.Broker) -> str:
        made = await broker.create_topic(topic, **given)
        return str((await made.attributes())["arn"])

    arn = session.perform(work)
    session.output.done(f"Topic {topic} is there.", (topic, arn), topic=topic, arn=arn)


@topic.command(
    "list",
    epilog="""\b
Examples:
  ropeway topic list
  ropeway topic list news-                        those whose names begin with news-
\b
In a pipe a line has: name, number of subscriptions.
""",
)
@click.argument("prefix", default="")
@common_options
@click.pass_obj
def list_(session: Session, prefix: str) -> None:
    """List the topics, with how many subscriptions they have."""

    async def work(broker: ropeway.Broker) -> list[tuple[str, int]]:
        found = []
        async for each in broker.list_topics(prefix):
            try:
                found.append((each.name, int((await each.attributes())["confirmed"])))
            except ropeway.NotFound:
                continue  # it was deleted meanwhile
        return found

    rows = session.perform(work)
    session.output.rows(("topic", "subscriptions"), rows)
    if session.output.drawn and not rows:
        session.output.line("No topics.")


@topic.command(
    epilog="""\b
Examples:
  ropeway topic show news
  ropeway topic show news --json | jq -r .arn
""",
)
@topic_argument
@common_options
@click.pass_obj
def show(session: Session, topic: str) -> None:
    """Show a topic's settings and its subscriptions: who they are to, and what became of messages there since
    the daemon started."""
    output = session.output

    async def work(broker: ropeway.Broker) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        of = broker.topic(topic)
        said = await of.attributes()
        return said, [await each.attributes() async for each in of.subscriptions()]

    said, subscriptions = session.perform(work)
    plain: dict[str, Json] = {"topic": topic, **_told(said)}
    if output.json:
        output.record(
            {**plain, "subscriptions": {each["subscription"]: _told(each) for each in subscriptions}}
        )
        return
    output.pairs({name.replace("_", " "): str(value) for name, value in plain.items()}, plain)
    columns = ("subscription", "endpoint", "delivered", "filtered", "dead lettered", "failed")
    named = ("subscription", "endpoint", "delivered", "filtered", "dead_lettered", "failed")
    if subscriptions:
        output.rows(columns, [[each[name] for name in named] for each in subscriptions])


def _told(subscription: dict[str, Any]) -> dict[str, Json]:
    return {name: value for name, value in subscription.items() if isinstance(value, (str, int))}


@topic.command(
    epilog="""\b
Examples:
  ropeway topic publish news "It rains." --subject Weather --attribute kind=String:weather
  date | ropeway topic publish news -             all of standard input is one message
  ropeway topic publish orders.fifo paid --group customer-7 --deduplication-id order-42-paid
\b
A body that begins with - goes behind --, as in: ropeway topic publish news -- -5
""",
)
@topic_argument
@click.argument("body")
@click.option("--subject", metavar="TEXT", help="Told in the envelope: fewer than 100 characters.")
@click.option(
    "--attribute",
    "-a",
    "attributes",
    type=read_attribute,
    multiple=True,
    metavar="NAME=TYPE:VALUE",
    help="TYPE is String, Number or Binary (in base64). Repeatable.",
)
@click.option("--group", metavar="GROUP", help="The message group; a FIFO topic requires it.")
@click.option(
    "--deduplication-id",
    metavar="ID",
    help="FIFO: a message with the same ID within 5 minutes is accepted, and not delivered again.",
)
@common_options
@click.pass_obj
def publish(
    session: Session,
    topic: str,
    body: str,
    *,
    subject: str | None,
    attributes: tuple[tuple[str, TypedAttribute], ...],
    group: str | None,
    deduplication_id: str | None,
) -> None:
    """Publish a message to TOPIC: BODY, or all of standard input (-).

    Prints its id when every queue that wants it has it on disk.
    """
    if body == "-":
        if is_terminal(STDIN):
            remark("reading the body from the terminal; Ctrl-D ends it")
        data = lines.whole(STDIN, "standard input")
    else:
        data = argument(body)

    async def work(broker: ropeway.Broker) -> str:
        return await broker.topic(topic).publish(
            guess(data, as_bytes=False),
            subject=subject,
            attributes=dict(attributes) or None,
            group=group,
            deduplication_id=deduplication_id,
        )

    message_id = session.perform(work)
    session.output.done(f"Published {message_id} to {topic}.", (message_id,), id=message_id)


@topic.command(
    epilog="""\b
Examples:
  ropeway topic subscribe news readers
  ropeway topic subscribe news sports --raw --filter '{"kind": ["sport"]}'
  ropeway topic subscribe news audit --dead-letters lost
  ropeway topic subscribe news http://127.0.0.1:8080/hook
  ropeway topic subscribe news mailto:me@example.org
""",
)
@topic_argument
@click.argument("subscriber", metavar="SUBSCRIBER", shell_complete=queue_names)
@click.option("--filter", "policy", metavar="JSON", help="The filter policy: which messages it wants.")
@click.option(
    "--filter-by",
    type=click.Choice(("attributes", "body")),
    default="attributes",
    help="What of a message the filter policy looks at; attributes by default.",
)
@click.option("--raw", is_flag=True, help="The message as it was published, and not the envelope.")
@click.option("--dead-letters", metavar="QUEUE", help="Where messages go that SUBSCRIBER does not take.")
@common_options
@click.pass_obj
def subscribe(
    session: Session,
    topic: str,
    subscriber: str,
    *,
    policy: str | None,
    filter_by: Literal["attributes", "body"],
    raw: bool,
    dead_letters: str | None,
) -> None:
    """Have SUBSCRIBER get what is published to TOPIC from now on: a queue, which need not be there yet, a
    URL, mailto:ADDRESS, a phone number, or the ARN of a function or a stream.

    A URL or a mailbox must confirm first: it is sent what to do.

    Prints the subscription's ARN.
    """

    async def work(broker: ropeway.Broker) -> str:
        made = await broker.topic(topic).subscribe(
            subscriber, filter=policy, filter_by=filter_by, raw=raw, dead_letters=dead_letters
        )
        return made.arn

    arn = session.perform(work)
    session.output.done(f"{subscriber} is subscribed: {arn}", (arn,), subscription=arn)


@topic.command(
    epilog="""\b
Examples:
  ropeway topic listen news
  ropeway topic listen news --filter '{"kind": ["sport"]}' --json | jq -r .body
  ropeway topic listen news --max 1
""",
)
@topic_argument
@click.option("--filter", "policy", metavar="JSON", help="The filter policy: which messages you want.")
@click.option(
    "--filter-by",
    type=click.Choice(("attributes", "body")),
    default="attributes",
    help="What of a message the filter policy looks at; attributes by default.",
)
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="End after N messages.")
@common_options
@click.pass_obj
def listen(
    session: Session,
    topic: str,
    *,
    policy: str | None,
    filter_by: Literal["attributes", "body"],
    most: int | None,
) -> None:
    """Print what is published to TOPIC from now on, until Ctrl-C.

    It comes by a queue of its own, which goes when the command ends.
    """
    write = writer(session.output, raw=False)

    async def work(broker: ropeway.Broker) -> None:
        left = most
        async with broker.topic(topic).listen(filter=policy, filter_by=filter_by) as listener:
            if session.output.drawn:
                remark(f"listening to {topic}; Ctrl-C ends it")
            async for each in listener:
                write(each)
                left = None if left is None else left - 1
                if left == 0:
                    return

    session.perform(work)


@topic.command(
    epilog="""\b
Examples:
  ropeway topic confirm 0000000000000001fd582238012d...
""",
)
@click.argument("token", metavar="TOKEN")
@common_options
@click.pass_obj
def confirm(session: Session, token: str) -> None:
    """Confirm a subscription with the TOKEN that its subscriber was sent."""

    async def work(broker: ropeway.Broker) -> str:
        return (await broker.confirm_subscription(token)).arn

    arn = session.perform(work)
    session.output.done(f"It is confirmed: {arn}", (arn,), subscription=arn)


@topic.command(
    epilog="""\b
Examples:
  ropeway topic unsubscribe arn:aws:sns:us-east-1:000000000000:news:0d6e...
""",
)
@click.argument("subscription", metavar="ARN")
@common_options
@click.pass_obj
def unsubscribe(session: Session, subscription: str) -> None:
    """End a subscription. One that is not there is fine."""

    async def work(broker: ropeway.Broker) -> None:
        await broker.subscription(subscription).unsubscribe()

    session.perform(work)
    session.output.done("It is over.", subscription=subscription)


@topic.command(
    epilog="""\b
Examples:
  ropeway topic replay orders.fifo shop.fifo --from 2026-11-26T08:00
  ropeway topic replay orders.fifo shop.fifo --from 2026-11-26T08:00Z --to 2026-11-26T09:00Z
""",
)
@topic_argument
@click.argument("subscriber", metavar="SUBSCRIPTION")
@click.option("--from", "start", type=read_time, required=True, metavar="TIME", help="From when on.")
@click.option(
    "--to", "end", type=read_time, metavar="TIME", help="Until when; nothing later is delivered then."
)
@common_options
@click.pass_obj
def replay(session: Session, topic: str, *, subscriber: str, start: datetime, end: datetime | None) -> None:
    """Have SUBSCRIPTION (its ARN, or its endpoint) get again what TOPIC's archive holds.

    A TIME is as 2026-11-26T08:00, of this machine's zone if it names none. What `show` tells of the
    subscription says when it is over.
    """

    async def work(broker: ropeway.Broker) -> str:
        async for each in broker.topic(topic).subscriptions():
            endpoint = str((await each.attributes())["endpoint"])
            if subscriber in (each.arn, endpoint, endpoint.rpartition(":")[2]):
                await each.replay(start, end)
                return each.arn
        raise ropeway.NotFound(f"The topic {topic} has no subscription {subscriber}.", "subscription")

    arn = session.perform(work)
    session.output.done(f"The replay begins: {arn}", (arn,), subscription=arn)


topic.add_command(deliveries)


@topic.command(
    epilog="""\b
Examples:
  ropeway topic delete news
""",
)
@topic_argument
@common_options
@click.pass_obj
def delete(session: Session, topic: str) -> None:
    """Delete a topic and every subscription to it. Its queues stay as they are."""

    async def work(broker: ropeway.Broker) -> int:
        of = broker.topic(topic)
        ended = int((await of.attributes())["confirmed"])
        await of.delete()
        return ended

    ended = session.perform(work)
    session.output.done(f"Deleted topic {topic} and {counted(ended, 'subscription')}.", topic=topic)
