"""`ropeway ping`: is the daemon there?"""

from __future__ import annotations

import asyncio
import time

import click

import ropeway
from ropeway.cli.session import Session, common_options, perform
from ropeway.cli.values import read_duration

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two tries to connect."""


@click.command(
    short_help="Ask the daemon for a sign of life.",
    epilog="""\b
Examples:
  ropeway ping                          is it there? the exit code says so
  ropeway ping --wait 10s               in a script: wait until it has started
  ropeway --url unix:/run/ropeway/socket ping
""",
)
@click.option("--wait", type=read_duration, default="0", metavar="DURATION", help="Try so long to connect.")
@common_options
@click.pass_obj
def ping(session: Session, wait: float) -> None:
    """Ask the daemon for a sign of life, and say how long that took."""

    async def asked() -> tuple[ropeway.Broker, float]:
        ends_at = time.monotonic() + wait
        pause = FIRST_PAUSE
        while True:
            try:
                return await _once(session)
            except (ropeway.ConnectionFailed, ropeway.ServiceUnavailable):
                left = ends_at - time.monotonic()
                if left <= 0:
                    raise
                await asyncio.sleep(min(pause, left))
                pause = min(pause * 2, LONGEST_PAUSE)

    broker, seconds = perform(asked)
    address, taken = str(broker.address), round(seconds * 1000, 3)
    session.output.done(
        f"{address} answers in {taken:.2f} ms", (address, f"{taken:.3f}"), address=address, milliseconds=taken
    )


async def _once(session: Session) -> tuple[ropeway.Broker, float]:
    async with session.broker() as broker:
        began = time.perf_counter()
        await broker.ping()
        return broker, time.perf_counter() - began
