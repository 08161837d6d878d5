"""The end of a run: is everything there? Each claim is checked on what is on disk, not on what was told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
from index import Video
from jobs import Job

TOLERANCE = 0.3
"""Seconds by which a transcoded video may differ in length from its source."""
TOLERATED_SHARE = 0.01
"""For long ones: this share of the length."""
AT_A_TIME = 2


@dataclass(frozen=True)
class Claim:
    """What should be so, and whether it is. `problems` says what is not."""

    text: str
    problems: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        return not self.problems


def in_the_index(jobs: Sequence[Job], videos: Sequence[Video]) -> Claim:
    """The name is the key of the index, so that a name that is there is there once."""
    wanted, found = {job.name for job in jobs}, {video.name for video in videos}
    problems = [f"{name} is missing" for name in sorted(wanted - found)]
    problems += [f"{name} is in the index, and nobody sent it" for name in sorted(found - wanted)]
    problems += [f"{video.name} was given up: {video.error}" for video in videos if video.error is not None]
    score = f"{len(wanted & found)} of {len(wanted)}"
    return Claim(f"every file is in the index once, and nothing else is ({score})", problems)


def in_the_folder(jobs: Sequence[Job], folder: Path) -> Claim:
    """Names only; `playable` looks inside."""
    wanted, found = {Path(job.target).name for job in jobs}, {path.name for path in folder.iterdir()}
    problems = [f"{name} is missing" for name in sorted(wanted - found)]
    problems += [f"{name} is left over" for name in sorted(found - wanted)]
    return Claim(f"every file has one video in {folder.name}/, and nothing else is there", problems)


async def playable(jobs: Sequence[Job]) -> Claim:
    """Decodes every video to its end."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def look(job: Job) -> str | None:
        async with places:
            return await _problem(Path(job.source), Path(job.target))

    found = zip(jobs, await asyncio.gather(*map(look, jobs)), strict=True)
    problems = [f"{job.name} {problem}" for job, problem in found if problem is not None]
    return Claim("every video plays to its end, and is as long as its source", problems)


async def _problem(source: Path, target: Path) -> str | None:
    try:
        wanted, length = await ffmpeg.length(source), await ffmpeg.length(target)
        frames = await ffmpeg.decode(target)
    except ffmpeg.Failed as error:
        return f"does not play: {error}"
    if frames == 0:
        return "has no frames"
    if wanted and abs(length - wanted) > max(TOLERANCE, wanted * TOLERATED_SHARE):
        return f"lasts {length:.2f} s, and its source {wanted:.2f} s"
    return None
