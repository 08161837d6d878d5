"""Dead letters on the command line: the settings of a queue that are about them, and `queue redrive`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

import ropeway
from ropeway.cli.exits import REFUSED, Exit
from ropeway.cli.names import queue_argument, queue_names
from ropeway.cli.output import Json
from ropeway.cli.progress import Bar
from ropeway.cli.session import Session, common_options
from ropeway.cli.values import counted, local, stamp

Command = TypeVar("Command", bound=Callable[..., Any])

OFTEN = 10
"""Receives after which a message is dead, unless somebody says."""
LOOK = 0.2
"""Seconds between two looks at a task that is watched."""
COLUMNS = ("status", "moved", "to_move", "destination", "reason", "started_at")


def dead_letter_options(command: Command) -> Command:
    """The settings that are about dead letters."""
    for option, metavar, read, text in (
        (
            "--dead-letters-from",
            "QUEUES",
            str,
            "Whose dead letters come here: all, none, or up to 10 queues with commas between them.",
        ),
        (
            "--max-receive-count",
            "N",
            click.IntRange(1, 1000),
            f"How often a message is received before it is a dead letter: 1 to 1000; {OFTEN} by default.",
        ),
        ("--dead-letter-queue", "QUEUE", str, 'Where dead letters go; "" is nowhere.'),
    ):
        command = click.option(option, type=read, metavar=metavar, help=text)(command)
    return command


def take_policies(settings: dict[str, Any]) -> dict[str, Any]:
    """Take what those options gave out of the settings, and give the policies that they mean."""
    target, most = settings.pop("dead_letter_queue", None), settings.pop("max_receive_count", None)
    sources = settings.pop("dead_letters_from", None)
    policies: dict[str, Any] = {}
    if target:
        policies["redrive_policy"] = {"dead_letter_target_arn": target, "max_receive_count": most or OFTEN}
    elif most is not None:
        raise click.UsageError("--max-receive-count goes with --dead-letter-queue")
    elif target is not None:
        policies["redrive_policy"] = None
    if sources is not None:
        permission = {"all": "allowAll", "none": "denyAll"}.get(sources, "byQueue")
        policies["redrive_allow_policy"] = {"redrive_permission": permission}
        if permission == "byQueue":
            policies["redrive_allow_policy"]["source_queue_arns"] = sources.split(",")
    return policies


def flat(found: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a queue, with the policies as the options say them."""
    flattened: dict[str, Any] = {}
    for name, value in found.items():
        match name, value:
            case "redrive_policy", {"dead_letter_target_arn": target, "max_receive_count": most}:
                flattened |= {"dead_letter_queue": _name(str(target)), "max_receive_count": most}
            case "redrive_allow_policy", {"redrive_permission": "byQueue", "source_queue_arns": arns}:
                flattened["dead_letters_from"] = ",".join(map(_name, arns))
            case "redrive_allow_policy", {"redrive_permission": permission}:
                flattened["dead_letters_from"] = "none" if permission == "denyAll" else "all"
            case _:
                flattened[name] = value
    return flattened


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]


@click.command(
    epilog="""\b
Examples:
  ropeway queue redrive jobs-dead                    back to where each message came from
  ropeway queue redrive jobs-dead --watch
  ropeway queue redrive jobs-dead --to jobs-fixed --rate 10
  ropeway queue redrive jobs-dead --status           the last tasks, the newest first
  ropeway queue redrive jobs-dead --cancel
\b
In a pipe a line of --status has: status, moved, to move, destination, reason, start.
"""
)
@queue_argument
@click.option("--to", metavar="QUEUE", shell_complete=queue_names, help="Move them to this queue.")
@click.option("--rate", type=click.IntRange(1), metavar="N", help="At most so many messages a second.")
@click.option("--watch", is_flag=True, help="Wait until it is done, and show how far it is.")
@click.option("--status", is_flag=True, help="Start nothing: show the last 10 tasks.")
@click.option("--cancel", is_flag=True, help="End the task that is running. What was moved stays moved.")
@common_options
@click.pass_obj
def redrive(
    session: Session, queue: str, to: str | None, rate: int | None, *, watch: bool, status: bool, cancel: bool
) -> None:
    """Move the messages of a dead-letter queue back to where they came from.

    They become new messages: received never, and kept for the whole retention period of the queue that they
    move to. The daemon does it by itself, also if this command ends, or the daemon in between.
    """
    if (to is not None or rate is not None or watch) + status + cancel > 1:
        raise click.UsageError("--status and --cancel stand alone")
    if status:
        _status(session, queue)
    elif cancel:
        _cancel(session, queue)
    else:
        _start(session, queue, to, rate, watch=watch)


def _start(session: Session, queue: str, to: str | None, rate: int | None, *, watch: bool) -> None:
    async def work(broker: ropeway.Broker) -> ropeway.MoveTask:
        source = broker.queue(queue)
        await source.start_move(to, rate=rate)
        [task] = await source.list_moves()
        with Bar("Moving", task.to_move, shown=watch) as bar:
            while watch and task.running:
                bar.at(task.moved, f"{task.moved:,} of {task.to_move:,}")
                await asyncio.sleep(LOOK)
                [task] = await source.list_moves()
        return task

    task = session.perform(work, queue)
    where = f"to {to}" if to else "back to where they came from"
    drawn = f"{counted(task.to_move, 'message')} of {queue} move {where}."
    if not task.running:
        drawn = f"{task.status.capitalize()}: moved {counted(task.moved, 'message')} of {queue} {where}."
    session.output.done(drawn, (), queue=queue, **_record(task))
    if task.status == "FAILED":
        raise Exit(REFUSED, f"the task failed: {task.reason}", "What was not moved is still there.")


def _status(session: Session, queue: str) -> None:
    async def work(broker: ropeway.Broker) -> list[ropeway.MoveTask]:
        return await broker.queue(queue).list_moves(10)

    tasks = session.perform(work, queue)
    if not tasks and session.output.drawn:
        session.output.line("No task has moved messages out of it.")
        return
    when = local if session.output.drawn else stamp
    session.output.rows(COLUMNS, [_row(task, when(task.started_at)) for task in tasks])


def _cancel(session: Session, queue: str) -> None:
    async def work(broker: ropeway.Broker) -> int:
        source = broker.queue(queue)
        running = [each.task for each in await source.list_moves() if each.task is not None]
        if not running:
            raise Exit(REFUSED, f"no task moves messages out of {queue} now")
        return await source.cancel_move(running[0])

    moved = session.perform(work, queue)
    session.output.done(
        f"Cancelled, after {counted(moved, 'message')}.", (str(moved),), queue=queue, moved=moved
    )


def _row(task: ropeway.MoveTask, started_at: str) -> tuple[str, int, int, str, str, str]:
    destination = _name(task.destination) if task.destination else ""
    return task.status, task.moved, task.to_move, destination, task.reason or "", started_at


def _record(task: ropeway.MoveTask) -> dict[str, Json]:
    return dict(zip(COLUMNS, _row(task, stamp(task.started_at)), strict=True))
