"""The argument QUEUE, and how Tab completes it.

A name is asked of the daemon while somebody waits at a prompt: quickly or not at all, and never a word about
what went wrong.
"""

from __future__ import annotations

import asyncio
import contextlib

import click

import ropeway
from ropeway.cli.exits import Exit
from ropeway.cli.session import Session
from ropeway.wire import Action

PATIENCE = 1.0
"""Seconds that Tab may take."""
VARIABLE = "_ROPEWAY_COMPLETE"
"""Set by the shells' scripts when they ask what could come next."""
MOST = 200
"""Names that are shown."""


def queue_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The queues whose names begin so; none if the daemon does not say at once."""
    with contextlib.suppress(Exit, ropeway.RopewayError, OSError, TimeoutError):
        return asyncio.run(_ask(ctx.ensure_object(Session), incomplete))
    return []


async def _ask(session: Session, prefix: str) -> list[str]:
    async with asyncio.timeout(PATIENCE), session.broker(PATIENCE) as broker:
        # One page, where Broker.list_queues would fetch them all.
        answer = await broker.link.call(Action.ListQueues, {"prefix": prefix, "limit": MOST})
    match answer:
        case {"queues": tuple(names)}:
            return [str(name) for name in names]
    return []


queue_argument = click.argument("queue", metavar="QUEUE", shell_complete=queue_names)
