"""Short videos to transcode, drawn by ffmpeg's own generators: 1 to 4 s, many sizes, three containers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import ffmpeg

SOURCES = [
    "testsrc2",
    "mandelbrot=start_scale=2",
    "life=mold=10:ratio=0.1:death_color=#203060:life_color=#90ff90",
    "gradients=speed=0.03:nb_colors=4:seed=7",
    "cellauto=rule=110:random_seed=3",
    "sierpinski=type=carpet:seed=5",
    "zoneplate=kx2=60:ky2=60:kt=6",
    "mandelbrot=start_x=-0.1:start_y=-0.9:start_scale=0.5",
    "smptehdbars",
    "gradients=speed=0.05:type=spiral:seed=21",
    "cellauto=rule=30:random_seed=9",
    "testsrc",
]
SIZES = ["640x360", "960x540", "480x270", "854x480", "320x240"]
LENGTHS = [1.5, 3.0, 2.0, 4.0, 1.0, 2.5, 3.5]
SUFFIXES = [".mkv", ".avi", ".mov"]
FILM = "life=mold=40:ratio=0.2:death_color=#602020:life_color=#ffff80"
"""The longest and hardest to compress; the first file is this one."""

AT_A_TIME = 2


async def make_samples(folder: Path, count: int) -> None:
    """Write `count` videos into `folder`. Raises ffmpeg.Failed."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def make_one(number: int) -> None:
        async with places:
            await _make(folder, number)

    await asyncio.gather(*(make_one(number) for number in range(count)))


async def _make(folder: Path, number: int) -> None:
    source, size, seconds = (
        (FILM, "640x360", 4.0)
        if number == 0
        else (
            SOURCES[number % len(SOURCES)],
            SIZES[number % len(SIZES)],
            LENGTHS[number % len(LENGTHS)],
        )
    )
    kind, _, settings = source.partition("=")
    picture = f"{kind}=size={size}:rate=25" + (f":{settings}" if settings else "")
    arguments = ["-f", "lavfi", "-i", picture]
    if number % 3 == 1:  # some have sound
        arguments += ["-f", "lavfi", "-i", f"sine=frequency={220 + 20 * number}", "-c:a", "pcm_s16le"]
    arguments += ["-t", str(seconds), "-c:v", "mpeg4", "-q:v", "3", "-pix_fmt", "yuv420p"]
    suffix = SUFFIXES[number % len(SUFFIXES)]
    await ffmpeg.make(arguments, folder / f"{number + 1:02}-{kind}-{size}{suffix}")
