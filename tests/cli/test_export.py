"""Export and import: everything goes over as it was, and an interruption costs nothing."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway.cli import draining, export, importing
from tests.cli.conftest import Cli
from tests.daemon import PATIENCE


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_queue_goes_over_as_it_is_and_stays_as_it_was(cli: Cli, tmp_path: Path) -> None:
    source, target = cli.queue(visibility_timeout=600), cli.queue()
    cli.fill(
        source,
        "grüße\n\x00",
        b"\x00\xff",
        ropeway.Outgoing("rich", attributes={"n": 1, "b": b"\xff"}, trace_header="Root=1"),
        ropeway.Outgoing("late", delay=600),
    )
    cli.take(source, 1)
    before = cli.numbers(source)
    path = tmp_path / "jobs.jsonl"
    cli.ok("export", source, str(path))
    assert cli.numbers(source) == before == (2, 1, 1)
    assert path.stat().st_mode & 0o777 == 0o600
    heading, *lines = read(path)
    assert heading["queue"].endswith(f":{source}")
    assert [each["state"] for each in lines] == ["in_flight", "visible", "visible", "delayed"]
    cli.ok("import", target, str(path))
    assert not path.with_name("jobs.jsonl.imported").exists()
    found = cli.take(target)
    assert [each.body for each in found] == ["grüße\n\x00", b"\x00\xff", "rich", "late"]
    assert found[2].typed_attributes == {"n": ("Number", "1"), "b": ("Binary", b"\xff")}
    assert found[2].trace_header == "Root=1"


def test_a_pipe_will_do(cli: Cli) -> None:
    source, target = cli.queue(), cli.queue()
    cli.fill(source, *map(str, range(2500)))
    cli.ok("import", target, "-", stdin=cli.ok("export", source).encode())
    assert cli.numbers(target) == (2500, 0, 0)


def test_an_export_goes_on_behind_its_last_whole_line(cli: Cli, tmp_path: Path) -> None:
    source = cli.queue()
    cli.fill(source, *map(str, range(100)))
    path = tmp_path / "jobs.jsonl"
    cli.ok("export", source, str(path))
    whole = path.read_bytes()
    for end in (0, 5, whole.index(b"\n") + 1, len(whole) // 2, len(whole) - 1, len(whole)):
        path.write_bytes(whole[:end])
        cli.ok("export", source, str(path))
        assert path.read_bytes() == whole, end
    cli.fill(source, "new")
    cli.ok("export", source, str(path))
    assert read(path)[-1]["body"] == "new"
    done = cli.run("export", cli.queue(), str(path))
    assert done.returncode == 1
    assert b"no export of this queue" in done.stderr


def test_an_export_that_is_killed_loses_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = cli.queue()
    cli.fill(source, *map(str, range(300)))
    path = tmp_path / "jobs.jsonl"
    monkeypatch.setattr(export, "PAGE", 50)
    kept, pages = export._keep, 0

    def keep(target: Any, data: bytes) -> None:
        nonlocal pages
        pages += 1
        if pages > 3:
            target.write(data[:7])
            target.flush()
            raise OSError(28, "No space left on device")
        kept(target, data)

    monkeypatch.setattr(export, "_keep", keep)
    assert cli.run("export", source, str(path)).returncode == 5
    monkeypatch.setattr(export, "_keep", kept)
    assert 0 < len(path.read_bytes().splitlines()) < 300
    cli.ok("export", source, str(path))
    assert [each["body"] for each in read(path)[1:]] == [str(n) for n in range(300)]
    assert cli.numbers(source) == (300, 0, 0)


def test_an_import_that_was_interrupted_goes_on_and_sends_nothing_twice(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = cli.queue()
    path = tmp_path / "jobs.jsonl"
    lines = [json.dumps({"body": f"{n} " + "x" * 1000}) for n in range(2000)]
    path.write_text("\n".join(lines))
    said = importing._say
    batches = 0

    def say(at: Path, place: importing.Place) -> None:
        nonlocal batches
        batches += 1
        if batches == 3:  # the batch was accepted, and that is not on disk yet
            raise OSError(28, "No space left on device")
        said(at, place)

    monkeypatch.setattr(importing, "_say", say)
    assert cli.run("import", target, str(path)).returncode == 5
    assert path.with_name("jobs.jsonl.imported").exists()
    done = cli.run("import", cli.queue(), str(path))
    assert done.returncode == 1
    assert b"on its way into" in done.stderr
    monkeypatch.setattr(importing, "_say", said)
    assert cli.run("import", target, str(path)).returncode == 0
    found = [message.body for _ in range(3) for message in cli.take(target)]
    assert sorted(int(re.findall(r"^\d+", str(body))[0]) for body in found) == list(range(2000))
    assert not path.with_name("jobs.jsonl.imported").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [("[]", "no JSON object"), ("{}", "no body"), ("{", ""), ('{"body": "x", "attributes": {"a": 1}}', "a ")],
)
def test_a_line_that_is_no_message_is_named(cli: Cli, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text('{"body": "fine"}\n' + line + "\n")
    done = cli.run("import", cli.queue(), str(path))
    assert done.returncode == 1
    assert b"line 2 of" in done.stderr
    assert said.encode() in done.stderr


def test_ctrl_c_leaves_an_export_that_goes_on(cli: Cli, tmp_path: Path) -> None:
    source = cli.queue()
    cli.fill(source, *("x" * 1000 for _ in range(3000)))
    path = tmp_path / "jobs.jsonl"
    process = cli.start("export", source, str(path))
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    cli.ok("export", source, str(path))
    sequences = [each["sequence"] for each in read(path)[1:]]
    assert len(sequences) == len(set(sequences)) == 3000


def test_a_queue_is_drained_into_a_file_and_an_interruption_loses_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = cli.queue(), cli.queue()
    rich = ropeway.Outgoing("rich", attributes={"n": 1}, trace_header="Root=1", group="g")
    cli.fill(source, *map(str, range(250)), rich, b"\xff")
    path = tmp_path / "jobs.jsonl"
    monkeypatch.setattr(draining, "PAGE", 100)
    kept, pages = export._keep, 0

    def keep(data_file: Any, data: bytes) -> None:
        nonlocal pages
        pages += 1
        if pages == 3:  # the heading and a page are there, and of the next a part
            data_file.write(data[: len(data) // 2])
            data_file.flush()
            raise OSError(28, "No space left on device")
        kept(data_file, data)

    monkeypatch.setattr(export, "_keep", keep)
    assert cli.run("export", source, str(path), "--drain").returncode == 5
    assert cli.numbers(source) == (152, 0, 0)

    async def fail(self: Any, messages: Any) -> None:
        await self.release_many(messages)
        raise OSError(28, "the process ends before it deletes")

    with monkeypatch.context() as patch:
        patch.setattr(ropeway.Queue, "delete_many", fail)
        assert cli.run("export", source, str(path), "--drain").returncode == 5
    assert cli.numbers(source) == (152, 0, 0)
    cli.ok("export", source, str(path), "--drain")
    assert cli.numbers(source) == (0, 0, 0)
    heading, *lines = read(path)
    assert heading["drained"] is True
    bodies = [str(each.get("body")) for each in lines]
    assert sorted(bodies[:250]) == sorted(map(str, range(250)))
    assert len(lines) == 252
    cli.ok("import", target, str(path))
    found = {message.body: message for message in cli.take(target)}
    assert len(found) == 252
    assert found["rich"].trace_header == "Root=1"
    assert found["rich"].attributes == {"n": 1}


def test_what_is_drained_has_a_file_of_its_own(cli: Cli, tmp_path: Path) -> None:
    source = cli.queue()
    cli.fill(source, "a")
    path = str(tmp_path / "jobs.jsonl")
    assert cli.run("export", source, "--drain").returncode == 2
    cli.ok("export", source, path)
    assert cli.run("export", source, path, "--drain").returncode == 1
    assert cli.numbers(source) == (1, 0, 0)
