"""The live picture on a terminal: queues, workers, events. It only reads the board."""

from __future__ import annotations

import asyncio
import time

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from board import EVENTS_KEPT, Board
from pool import Hand

REFRESH_INTERVAL = 0.2
WORKER_LINES = 4
BAR = 20
OTHER_LINES = 19
"""All but the events."""


async def show(board: Board) -> None:
    """Draw the board anew, for ever; when cancelled, once more."""
    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                live.update(draw(board, console.height), refresh=True)
                await asyncio.sleep(REFRESH_INTERVAL)
        finally:
            live.update(draw(board, console.height), refresh=True)


def draw(board: Board, height: int) -> RenderableType:
    """The whole picture, for a terminal of so many lines."""
    return Panel(
        Group(_progress(board), _queues(board), _workers(board), _events(board, height - OTHER_LINES)),
        title="[bold]Ropeway: a transcoding site[/]",
        subtitle=f"{board.phase}, {board.elapsed:.0f} s",
        border_style="blue",
    )


def _progress(board: Board) -> RenderableType:
    line = Table.grid(padding=(0, 1))
    line.add_row(
        Text("indexed", style="bold"),
        ProgressBar(total=max(1, board.files), completed=len(board.indexed), width=BAR * 2),
        f"{len(board.indexed)} of {board.files} videos",
    )
    return line


def _queues(board: Board) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("queue", min_width=9)
    for name in ("visible", "in flight", "delayed"):
        table.add_column(name, justify="right", width=10)
    table.add_column("")
    state = Text("daemon is up", "green") if board.daemon_up else Text("daemon is down", "bold red")
    for number, (name, depth) in enumerate(board.depths.items()):
        style = "" if board.daemon_up else "dim"
        table.add_row(
            Text(name, "bold"),
            *(Text(str(count), style) for count in (depth.visible, depth.in_flight, depth.delayed)),
            state if number == 0 else "",
        )
    return table


def _workers(board: Board) -> RenderableType:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("worker", min_width=9, no_wrap=True)
    table.add_column("does", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("", min_width=BAR)
    table.add_column("", justify="right", min_width=6, no_wrap=True)
    table.add_column("done", justify="right", min_width=4)
    hands = list(board.hands)
    for hand in hands:
        table.add_row(*_worker(hand))
    for _ in range(WORKER_LINES - len(hands)):
        table.add_row("", "", "", "", "")
    return table


def _worker(hand: Hand) -> list[RenderableType]:
    name = Text(hand.name, "bold yellow" if hand.leaving else "bold")
    if hand.job is None:
        idle = "goes" if hand.leaving else "waits for a job"
        return [name, Text(idle, "dim"), "", "", str(hand.finished)]
    again = f" (attempt {hand.attempt})" if hand.attempt > 1 else ""
    return [
        name,
        Text(hand.job + again, "yellow" if again else ""),
        ProgressBar(total=1.0, completed=hand.share, width=BAR),
        f"{time.monotonic() - hand.since:.1f} s",
        str(hand.finished),
    ]


def _events(board: Board, lines: int) -> RenderableType:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(justify="right", min_width=7, style="dim")
    table.add_column(min_width=9, style="bold")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    events = list(board.events)[-max(1, lines) :]
    for event in events:
        style = "bold red" if "kill -9" in event.what else ""
        table.add_row(f"{event.after:.1f} s", event.who, Text(event.what, style))
    for _ in range(min(lines, EVENTS_KEPT) - len(events)):
        table.add_row("", "", "")
    return table
