"""The outbox: whole files, private, and no more of them than its bounds."""

import stat
from pathlib import Path

from ropewayd.deliveries.outbox import Outbox, OutboxLimits


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_a_file_is_private_and_there_once(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", ".eml", OutboxLimits())
    name = await outbox.put("../2026:a/b", b"one")
    await outbox.put("../2026:a/b", b"two")
    assert names(tmp_path) == ["outbox"]
    assert names(tmp_path / "outbox") == [name]
    assert (tmp_path / "outbox" / name).read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "outbox" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "outbox").stat().st_mode) == 0o700


async def test_the_oldest_go_where_there_are_too_many(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", ".eml", OutboxLimits(files=3))
    for each in range(5):
        await outbox.put(f"{each}", b"x")
    assert names(tmp_path / "outbox") == ["2.eml", "3.eml", "4.eml"]


async def test_the_oldest_go_where_they_are_too_large_also_after_a_restart(tmp_path: Path) -> None:
    limits = OutboxLimits(bytes=100)
    for each in range(5):
        await Outbox(tmp_path / "outbox", ".eml", limits).put(f"{each}", b"x" * 40)
    assert names(tmp_path / "outbox") == ["3.eml", "4.eml"]
    await Outbox(tmp_path / "outbox", ".eml", limits).put("5", b"x" * 400)
    assert names(tmp_path / "outbox") == ["5.eml"]


async def test_what_a_crash_left_half_written_goes(tmp_path: Path) -> None:
    (tmp_path / ".old.eml.part").write_bytes(b"x")
    await Outbox(tmp_path, ".eml", OutboxLimits()).put("new", b"y")
    assert names(tmp_path) == ["new.eml"]
