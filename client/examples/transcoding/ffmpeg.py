"""The ffmpeg program, as far as this site needs it: transcode, take a thumbnail, decode to the end.

Each function here is one run of the program. A run that is cancelled is killed.
"""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from functools import cache
from pathlib import Path

THUMBNAIL_WIDTH = 240

CODECS = {
    "libx264": (".mp4", "-c:v libx264 -preset medium -crf 26 -movflags +faststart -c:a aac"),
    "libopenh264": (".mp4", "-c:v libopenh264 -b:v 800k -movflags +faststart -c:a aac"),
    "libvpx": (".webm", "-c:v libvpx -b:v 800k -cpu-used 2 -c:a libvorbis"),
    "mpeg4": (".mp4", "-c:v mpeg4 -q:v 5 -c:a aac"),
}
"""What to transcode to, the best first: the suffix of the file and the arguments."""


class Failed(Exception):
    """ffmpeg did not do it. The message is its last words."""


@cache
def program() -> str:
    """Where ffmpeg is: in the package imageio-ffmpeg, or where $IMAGEIO_FFMPEG_EXE says. Raises Failed."""
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - so that what needs no ffmpeg can be used without it

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise Failed(f"no ffmpeg here ({error}); try: pip install '.[demo]' in a clone of Ropeway") from error


async def best_codec() -> str:
    """The first of CODECS that this ffmpeg has. Raises Failed."""
    said, _ = await _run("-v", "error", "-encoders")
    has = set(re.findall(r"^ [A-Z.]{6} (\S+)", said.decode(), re.MULTILINE))
    for codec in CODECS:
        if codec in has:
            return codec
    raise Failed(f"this ffmpeg has none of {', '.join(CODECS)}")


async def length(video: Path) -> float:
    """How long it is by its own account, in seconds; 0 if it does not say. Raises Failed if it is no
    video."""
    describe = ["-map", "0:v:0", "-c", "copy", "-t", "0", "-f", "null", "-"]  # by copying none of it
    try:
        _, said = await _run("-i", str(video), *describe)
    except Failed as failure:
        raise Failed(f"cannot be read as a video ({failure})") from None
    found = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said)
    return 0.0 if found is None else int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


async def make(arguments: list[str], target: Path) -> None:
    """Run ffmpeg to write one file. Raises Failed."""
    await _run("-v", "error", "-y", *arguments, str(target))


async def transcode(source: Path, target: Path, codec: str, progressed: Callable[[float], None]) -> None:
    """Make a small version for the web. `progressed` is told the seconds of video that are done. Raises
    Failed."""

    def heard(line: str) -> None:
        name, _, value = line.partition("=")
        if name == "out_time_us" and value.isdigit():
            progressed(int(value) / 1e6)

    await _run(
        *("-v", "error", "-y", "-progress", "pipe:1", "-stats_period", "0.2"),
        *("-threads", "1", "-i", str(source), "-map", "0:v:0", "-map", "0:a:0?"),
        *("-vf", "scale='min(640,trunc(iw/2)*2)':-2", "-pix_fmt", "yuv420p", "-threads", "1"),
        *CODECS[codec][1].split(),
        str(target),
        heard=heard,
    )


async def thumbnail(video: Path, seconds: float) -> bytes:
    """A frame from the middle of it, as a JPEG. Raises Failed."""
    image, _ = await _run(
        *("-v", "error", "-ss", f"{seconds / 2:.2f}", "-i", str(video), "-frames:v", "1"),
        *("-vf", f"scale={THUMBNAIL_WIDTH}:-2", "-q:v", "4", "-f", "mjpeg", "pipe:1"),
    )
    return image


async def decode(video: Path) -> int:
    """Decode it to its end; how many frames that gave. Raises Failed at the first error in it."""
    said, _ = await _run(
        *("-v", "error", "-xerror", "-progress", "pipe:1", "-threads", "1", "-i", str(video)),
        *("-map", "0:v:0", "-f", "null", "-"),
    )
    frames = re.findall(r"^frame=\s*(\d+)", said.decode(), re.MULTILINE)
    return int(frames[-1]) if frames else 0


async def _run(*arguments: str, heard: Callable[[str], None] | None = None) -> tuple[bytes, str]:
    """What it wrote to its standard output (unless `heard` takes that by the line) and standard error."""
    process = await asyncio.create_subprocess_exec(
        program(), "-nostdin", "-hide_banner", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        output, errors = await asyncio.gather(_read(process.stdout, heard), process.stderr.read())
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = errors.decode(errors="replace")
    if code != 0:
        raise Failed(_last_words(said) or f"ffmpeg ended with {code}")
    return output, said


async def _read(stream: asyncio.StreamReader, heard: Callable[[str], None] | None) -> bytes:
    if heard is None:
        return await stream.read()
    async for line in stream:
        heard(line.decode().strip())
    return b""


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""
