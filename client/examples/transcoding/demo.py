"""The transcoding site, from start to end, with two accidents on the way.

    make demo                                 # makes 24 short videos and transcodes them
    python demo.py FOLDER                     # transcodes the videos in FOLDER

What a program of your own would look like is in worker.py, index.py and jobs.py; here is only the command.
Exit code 0: every claim was checked and holds. 1: one does not. 2: the demo could not start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import ffmpeg
import picture
from board import Board, Listener, say
from daemon import Broken
from run import HERE, Run
from samples import make_samples
from sheet import VIDEOS

SUFFIXES = {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"}
PROBLEMS_SHOWN = 10


class Refused(Exception):
    """The demo cannot start. The message says why."""


def main() -> int:
    """The exit code."""
    given = options().parse_args()
    try:
        return asyncio.run(unless_interrupted(given))
    except* (Broken, Refused, ffmpeg.Failed) as errors:
        said = list(leaves(errors))
    for error in said:
        print(f"demo: {error}", file=sys.stderr)
    return 1 if any(isinstance(error, Broken) for error in said) else 2


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="A transcoding site on Ropeway, with a worker and the daemon killed on the way."
    )
    parser.add_argument("folder", nargs="?", type=Path, help="of videos; otherwise some are made")
    parser.add_argument("--files", type=count, default=24, help="how many to make (24)")
    parser.add_argument("--output", type=Path, help="an empty folder; otherwise work/ beside this file")
    parser.add_argument("--plain", action="store_true", help="lines in place of the live picture")
    return parser


def count(text: str) -> int:
    """Of files to make. Raises ValueError."""
    if not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("1 to 1000 files")
    return int(text)


async def unless_interrupted(given: argparse.Namespace) -> int:
    """The story. A signal ends it early; then everything is cleaned up, and the exit code says which."""
    caught: list[signal.Signals] = []
    story = asyncio.create_task(tell(given))

    def stop(number: signal.Signals) -> None:
        if not caught:  # a second one must not cut the cleaning short
            story.cancel()
        caught.append(number)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(each, stop, each)
    try:
        return await story
    except asyncio.CancelledError:
        say(f"Stopped by {caught[0].name}. No process is left.")
        return 128 + caught[0]


async def tell(given: argparse.Namespace) -> int:
    """The story: make videos, run the site, report."""
    files = [] if given.folder is None else videos_in(given.folder)
    board = Board(plain=given.plain or not sys.stdout.isatty())
    logging.getLogger("ropeway").addHandler(Listener(board))
    with empty_folder(given.output) as output, tempfile.TemporaryDirectory(prefix="ropeway-") as temporary:
        run = Run(output, Path(temporary), board)
        async with shown(board):
            if given.folder is None:
                board.tell("demo", f"makes {given.files} short videos")
                board.phase, board.files = "making videos", given.files
                (output / "inputs").mkdir()
                await make_samples(output / "inputs", given.files)
                files = videos_in(output / "inputs")
            await run.go(files)
        report(run)
        say(f"  Open     {output / 'contact-sheet.html'}")
        say(f"  Look at  {output / 'index.sqlite'} and {output / 'logs'}")
    return 0 if all(claim.holds for claim in run.claims) else 1


def report(run: Run) -> None:
    """What was found."""
    say()
    for claim in run.claims:
        say(f"  {'ok    ' if claim.holds else 'FAILED'}  {claim.text}")
        for problem in claim.problems[:PROBLEMS_SHOWN]:
            say(f"            {problem}")
        if len(claim.problems) > PROBLEMS_SHOWN:
            say(f"            and {len(claim.problems) - PROBLEMS_SHOWN} more")
    say()
    for fact in run.facts:
        say(f"  {fact}")
    say()


@contextlib.asynccontextmanager
async def shown(board: Board) -> AsyncIterator[None]:
    """With the live picture, if that is wanted."""
    drawing = None if board.plain else asyncio.create_task(picture.show(board))
    try:
        yield
    finally:
        if drawing is not None:
            drawing.cancel()
            await asyncio.wait([drawing])


@contextlib.contextmanager
def empty_folder(given: Path | None) -> Iterator[Path]:
    """Where the run goes. Our own folder is emptied first; one that was named must be empty. Raises
    Refused."""
    output = (given or HERE / "work").absolute()
    output.mkdir(parents=True, exist_ok=True)
    handle = os.open(output, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in output.iterdir():
            if given is not None:
                raise Refused(f"{output} is not empty")
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        for name in (VIDEOS, "logs"):
            (output / name).mkdir()
        yield output
    except BlockingIOError:
        raise Refused(f"a demo is running in {output}") from None
    finally:
        os.close(handle)


def videos_in(folder: Path) -> list[Path]:
    """The video files that lie in it, by name. Raises Refused."""
    try:
        found = sorted(
            path.absolute() for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()
        )
    except OSError as error:
        raise Refused(f"cannot read {folder}: {error.strerror}") from None
    if not found:
        raise Refused(f"there is no video in {folder}; looked for {' '.join(sorted(SUFFIXES))}")
    return found


def leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    """The errors in a group, and in the groups in it."""
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from leaves(each)
        else:
            yield each


if __name__ == "__main__":
    sys.exit(main())
