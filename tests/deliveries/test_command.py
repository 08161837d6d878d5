"""A program that is run for a delivery: what it gets, and that nothing of it is without bounds."""

import os
import sys
from pathlib import Path

import pytest

from ropewayd.deliveries.command import MAX_OUTPUT, run


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", program)


async def test_it_gets_its_input_and_says_how_it_ended() -> None:
    ended = await run(python("import sys; print(sys.stdin.read()[::-1]); sys.exit(3)"), b"abc", 30)
    assert (ended.code, ended.output) == (3, "cba\n")


async def test_it_gets_nothing_else_of_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROPEWAY_KEYS_SECRETS", "a:s3cret")
    handle = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(handle, True)
    seen = f"os.getcwd(), os.getsid(0) == os.getpid(), os.path.exists('/proc/self/fd/{handle}')"
    program = f"import os; print(sorted(set(os.environ) - {{'LC_CTYPE'}}), {seen})"
    ended = await run(python(program), b"", 30)
    os.close(handle)
    names = sorted({"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"} & set(os.environ))
    assert ended.output == f"{names} / True False\n"


async def test_it_need_not_read_its_input() -> None:
    assert (await run(python("pass"), b"x" * 10_000_000, 30)).code == 0


async def test_its_output_is_cut_and_never_stops_it() -> None:
    ended = await run(python("print('x' * 10_000_000)"), b"", 30)
    assert (ended.code, len(ended.output)) == (0, MAX_OUTPUT)


async def test_when_its_time_is_over_it_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    os.mkfifo(mark)
    reader = os.open(mark, os.O_RDONLY | os.O_NONBLOCK)
    # A child that lives on says so later, and holds the pipe open until then.
    child = f"import time; file = open({str(mark)!r}, 'w'); time.sleep(5); file.write('late')"
    program = (
        f"import subprocess as s, sys, time; s.Popen([sys.executable, '-I', '-c', {child!r}]); time.sleep(60)"
    )
    ended = await run(python(program), b"", 1.5)
    assert ended.code is None
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # the end of the file: nobody has it open
    os.close(reader)


async def test_what_cannot_be_started_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await run(("/nowhere/at/all",), b"", 30)
