"""Looks at SQLite's write-ahead log before SQLite does.

SQLite takes the first frame that does not check for the end of the log. After a crash in the middle of a
commit that is right. But a flipped bit in an older frame looks the same to it, and all commits behind the bit
are lost without a word. So we walk the log first, and tell the two apart:

Rule 1  A commit's frames are written, then synced, and only then is the next commit's first frame written. So
        a bad frame with a later, whole commit behind its own commit's end is damage: Corrupt.
Rule 2  A bad frame in the last commit is a torn write, and normal: that commit was never acknowledged. Its
        frames may have reached the disk in any order, so good frames behind the bad one prove nothing, up to
        the frame that ends the commit. (Damage in the very last commit looks the same. Nothing in the log can
        tell.)
Rule 3  Frames of an earlier generation (other salts) are remains that the log has not overwritten yet. Those
        behind the last frame of this generation, but for the first of them, are not looked at: none of them
        could be good.
Rule 4  What is behind the last whole commit is cut off before SQLite opens the log and goes on from there. So
        what a torn commit leaves never comes to lie behind a later commit, where it would look like damage: a
        log holds frames of one torn commit at most, and all others that do not check are damaged.
Rule 5  The walk only reads. It and the cut close the file before SQLite opens it.

The format is described in SQLite's documentation ("WAL-mode File Format"): a header of 32 bytes, then frames
of 24 bytes and a page each. A frame's checksum covers the first 8 bytes of its header and the page, and goes
on from that of the frame before, the first one's from the header's. It is the recurrence t[n+2] = t[n] +
t[n+1] + word[n] modulo 2**32, and so linear: a frame's own part can be worked out apart from what came before
it. We do that for many frames at once, or for many pieces of a few, each in 64 bits of one large integer,
which is ten times faster than word by word.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final, Literal

import msgspec

from ropewayd.store.protocol import Corrupt

Sums = tuple[int, int]
"""The two halves of a running checksum."""

Order = Literal["big", "little"]

_HEADER: Final = Struct(">8I")
_FRAME: Final = Struct(">6I")
_MAGIC: Final = 0x377F0682
_VERSION: Final = 3007000
_MASK: Final = 0xFFFFFFFF
_LANES: Final = 256
"""Frames, or pieces of frames, that are checked at a time: at most 4 MiB of 16 KiB pages."""


class Log(msgspec.Struct, frozen=True):
    """What the walk found. `there`: the file has a good header. `frames`: how many belong to whole commits,
    and `page_size` the size of their pages. `first_page`: the first 100 bytes of the database as of the last
    commit, where the log holds that page; `base_page` the same as of its first commit."""

    there: bool = False
    frames: int = 0
    page_size: int = 0
    first_page: bytes = b""
    base_page: bytes = b""

    @property
    def end(self) -> int:
        """Where the last whole commit ends, in bytes from the start of the file."""
        return _HEADER.size + self.frames * (_FRAME.size + self.page_size)


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A frame's header, and what its own words add to the running checksum."""

    number: int
    page: int
    commit: bool
    salts: tuple[int, int]
    stored: Sums
    part: Sums

    def after(self, before: Sums, pairs: int) -> Sums:
        """The checksum that this frame should carry after one that carries `before`."""
        return joined(before, self.part, pairs)


def scan(path: Path) -> Log:
    """Walk the log at `path`. Raises Corrupt, OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return Log()
    with file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not any(header):
            return Log()  # made, but never written: a header is written at one go
        magic, version, page_size, _, *salts, check0, check1 = _HEADER.unpack(header)
        order: Order = "big" if magic & 1 else "little"
        if (
            magic & ~1 != _MAGIC
            or version != _VERSION
            or page_size not in {1 << n for n in range(9, 17)}
            or simple(header[:24], order) != (check0, check1)
        ):
            raise Corrupt(f"The header of {path} is damaged.")
        walk = _Walk(path, (salts[0], salts[1]), (check0, check1), page_size)
        count = _ours(file, page_size, walk.salts) + 1
        for frame in frames(file, page_size, order, count):
            walk.take(frame)
        pages = [_head(file, number, page_size) for number in (walk.first_page, walk.base_page)]
        return Log(True, walk.committed, page_size, *pages)


def cut_off(path: Path, end: int) -> None:
    """Let the log end here, and sync that. Raises OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.ftruncate(handle, end)
        os.fsync(handle)
    finally:
        os.close(handle)


def rewrite(path: Path) -> None:
    """Write the log once more, as it reads, and sync it. Raises OSError.

    After a sync that failed, what was written can still be read, but no later sync brings it to the disk.
    Were commits appended behind it, a loss of power could leave them, and not what is before them.
    """
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        at = 0
        while chunk := os.pread(handle, 1 << 20, at):
            os.pwrite(handle, chunk, at)
            at += len(chunk)
        os.fsync(handle)
    finally:
        os.close(handle)


def _head(file: BinaryIO, number: int, page_size: int) -> bytes:
    """The first 100 bytes of the page in a frame; nothing for frame 0."""
    if not number:
        return b""
    file.seek(_HEADER.size + (number - 1) * (_FRAME.size + page_size) + _FRAME.size)
    return file.read(100)


def _ours(file: BinaryIO, page_size: int, salts: Sums) -> int:
    """The number of the last frame with these salts, 0 where there is none. The file stays where it is."""
    begin, size = file.tell(), _FRAME.size + page_size
    number = (file.seek(0, os.SEEK_END) - begin) // size
    while number:
        file.seek(begin + (number - 1) * size)
        _, _, *found, _, _ = _FRAME.unpack(file.read(_FRAME.size))
        if tuple(found) == salts:
            break
        number -= 1
    file.seek(begin)
    return number


class _Walk:
    """Where the walk stands: on good ground, or behind a first bad frame and looking for proof of damage."""

    def __init__(self, path: Path, salts: tuple[int, int], checksum: Sums, page_size: int) -> None:
        self.committed = 0
        self.first_page = 0  # the frame that holds page 1 as of the last commit
        self.base_page = 0  # likewise, as of the first one
        self._path = path
        self.salts = salts
        self._pairs = 1 + page_size // 8
        self._before = {checksum}  # what the frame before may have carried
        self._first_page = 0
        self._bad = 0  # the first bad frame, if there is one
        self._ended = False  # the commit that the bad frame belongs to has ended

    def take(self, frame: Frame) -> None:
        """Look at the next frame."""
        expected = {frame.after(before, self._pairs) for before in self._before}
        whole = frame.stored in expected and frame.page > 0
        ours = frame.salts == self.salts
        if whole and not ours:
            # Salts are not part of the checksum, but it began with them: nobody else's frame would fit here.
            raise Corrupt(f"Frame {frame.number} of {self._path} is damaged: its salts are wrong.")
        good = whole and ours
        if not self._bad and good:
            self._before = {frame.stored}
            self._follow(frame)
            return
        if not self._bad:
            self._bad = frame.number
        elif self._ended and good and frame.commit:
            raise Corrupt(
                f"Frame {self._bad} of {self._path} is damaged: a commit behind it, which ends at frame"
                f" {frame.number}, is whole."
            )
        self._ended = self._ended or (ours and frame.commit)
        # The next may fit what this frame carries, or, where just that is damaged, what it should carry.
        self._before = {frame.stored, *expected} if ours else set()

    def _follow(self, frame: Frame) -> None:
        if frame.page == 1:
            self._first_page = frame.number
        if frame.commit:
            if not self.committed:
                self.base_page = self._first_page
            self.committed, self.first_page = frame.number, self._first_page


def frames(file: BinaryIO, page_size: int, order: Order, most: int) -> Iterator[Frame]:
    """The first `most` frames of a log whose header has been read, numbered from 1. A piece at the end is
    left out."""
    size = _FRAME.size + page_size
    number = 0
    while True:
        chunk = file.read(size * min(_LANES, most - number))
        count = len(chunk) // size
        if not count:
            return
        parts = own_parts(chunk[: count * size], count, order)
        for at, part in enumerate(parts):
            page, commit, salt0, salt1, check0, check1 = _FRAME.unpack_from(chunk, at * size)
            number += 1
            yield Frame(number, page, commit > 0, (salt0, salt1), (check0, check1), part)


def own_parts(chunk: bytes, count: int, order: Order) -> list[Sums]:
    """What the words of each of `count` frames add to the running checksum. A page is cut into so many pieces
    that about _LANES of them are worked on at once."""
    if order != "little":
        words = array("I", chunk)
        words.byteswap()
        chunk = words.tobytes()
    frame = len(chunk) // count
    begins = range(0, len(chunk), frame)
    pieces = 1 << max(0, min(6, (_LANES // count).bit_length() - 1))
    sums = lanes(b"".join([chunk[at + _FRAME.size : at + frame] for at in begins]), count * pieces)
    pairs = (frame - _FRAME.size) // 8 // pieces
    found = []
    for number, at in enumerate(begins):
        part = simple(chunk[at : at + 8], "little")
        for piece in sums[number * pieces : (number + 1) * pieces]:
            part = joined(part, piece, pairs)
        found.append(part)
    return found


def lanes(words: bytes, count: int) -> list[Sums]:
    """The checksums of `count` pieces of equal length: each has its place in one large integer."""
    pairs = memoryview(words).cast("Q")
    stride = len(pairs) // count
    low = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * count, "little")
    even = odd = 0
    for at in range(stride):
        both = int.from_bytes(pairs[at::stride].tobytes(), "little")
        even = (even + odd + (both & low)) & low
        odd = (odd + even + (both >> 32 & low)) & low
    all_of_them = Struct(f"<{count}Q")
    size = all_of_them.size
    return list(
        zip(
            all_of_them.unpack(even.to_bytes(size, "little")),
            all_of_them.unpack(odd.to_bytes(size, "little")),
            strict=True,
        )
    )


def joined(before: Sums, part: Sums, pairs: int) -> Sums:
    """The checksum of what comes before and, behind it, words of so many pairs whose own is `part`."""
    a, b, c = powers(pairs)
    return (
        (a * before[0] + b * before[1] + part[0]) & _MASK,
        (b * before[0] + c * before[1] + part[1]) & _MASK,
    )


def simple(words: bytes, order: Order, before: Sums = (0, 0)) -> Sums:
    """The checksum of a few words, word by word."""
    even, odd = before
    for at in range(0, len(words), 8):
        even = (even + odd + int.from_bytes(words[at : at + 4], order)) & _MASK
        odd = (odd + even + int.from_bytes(words[at + 4 : at + 8], order)) & _MASK
    return even, odd


@cache
def powers(pairs: int) -> tuple[int, int, int]:
    """What the checksum before a frame of so many pairs of words counts for after it: the matrix (a, b; b,
    c)."""
    a, b, c = 1, 0, 1
    for _ in range(pairs):
        a, b, c = (a + b) & _MASK, (b + c) & _MASK, (b + 2 * c) & _MASK
    return a, b, c
