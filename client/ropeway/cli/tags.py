"""`ropeway queue tag` and `ropeway queue untag`."""

from __future__ import annotations

import click

import ropeway
from ropeway.cli.names import queue_argument
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import counted


@click.command(
    epilog="""\b
Examples:
  ropeway queue tag jobs team=payments cost-centre=7
  ropeway queue tag jobs                          tells which tags it has
""",
)
@queue_argument
@click.argument("tags", metavar="[KEY=VALUE]...", nargs=-1)
@common_options
@click.pass_obj
def tag(session: Session, queue: str, *, tags: tuple[str, ...]) -> None:
    """Put tags on QUEUE, up to 50; without any, tell those that it has."""
    given: dict[str, str] = {}
    for each in tags:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise click.UsageError(f"{each!r} is not KEY=VALUE")
        given[key] = value

    async def work(broker: ropeway.Broker) -> dict[str, str]:
        into = broker.queue(queue)
        if given:
            await into.tag(given)
            return {}
        return await into.tags()

    found = session.perform(work, queue)
    if given:
        session.output.done(f"Put {counted(len(given), 'tag')} on queue {queue}.", queue=queue)
    elif found or session.json:
        session.output.pairs(found, found)


@click.command(
    epilog="""\b
Examples:
  ropeway queue untag jobs team cost-centre
""",
)
@queue_argument
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@common_options
@click.pass_obj
def untag(session: Session, queue: str, *, keys: tuple[str, ...]) -> None:
    """Take tags from QUEUE. One that it does not have is fine."""

    async def work(broker: ropeway.Broker) -> None:
        await broker.queue(queue).untag(keys)

    session.perform(work, queue)
    session.output.done(f"Took {counted(len(keys), 'tag')} from queue {queue}.", queue=queue)
