"""The transcoding site. The index by itself needs no video; the whole site, run small, is a proof with real
ffmpeg."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropeway
from tests.daemon import PATIENCE, Daemon

EXAMPLE = Path(__file__).resolve().parents[2] / "client" / "examples" / "transcoding"
WHOLE_RUN = 240.0
"""Seconds, on a machine that is busy with other tests."""


# The index.


def result(name: str, *, error: str | None = None, worker: str = "worker-1") -> str:
    """A result as a worker sends it."""
    numbers = {"attempt": 1, "source_bytes": 1000, "target_bytes": 100, "seconds": 2.0, "took": 1.0}
    words = {"name": name, "job": "an id", "worker": worker, "target": f"/videos/{name}.mp4", "error": error}
    return json.dumps(words | numbers)


def empty(queue: ropeway.sync.Queue) -> bool:
    now = queue.attributes()
    return not (now["visible"] or now["in_flight"] or now["delayed"])


def said(index: subprocess.Popen[str]) -> str:
    assert index.stdout is not None
    return index.stdout.readline()


def test_the_index_takes_each_video_once_and_every_repetition_is_recognised(tmp_path: Path) -> None:
    database, page = tmp_path / "index.sqlite", tmp_path / "sheet.html"
    with Daemon(tmp_path) as daemon, ropeway.sync.connect(daemon.url) as broker:
        results = broker.create_queue("results")
        command: list[str | Path] = [sys.executable, EXAMPLE / "index.py", "--url", daemon.url]
        command += ["--database", database, "--sheet", page]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as index:
            try:
                for body, event in (
                    (result("cat"), "indexed"),
                    (result("cat", worker="worker-2"), "repeated"),
                    (result("dog", error="cannot be read"), "indexed"),
                    (result("dog", worker="worker-2"), "indexed"),
                    (result("dog", error="cannot be read"), "repeated"),
                ):
                    results.send(body, attributes={"thumbnail": b"a picture"})
                    assert f'"event": "{event}"' in said(index)
                daemon.kill()
                daemon.start()
                results.send(result("<emu>"))
                assert '"name": "<emu>"' in said(index)
                until = time.monotonic() + PATIENCE
                while not empty(results):
                    assert time.monotonic() < until, "what is indexed is not deleted"
                    time.sleep(0.02)
            finally:
                index.terminate()
            assert index.wait(PATIENCE) == 0

    rows = sqlite3.connect(database)
    found = rows.execute("SELECT name, worker, error FROM videos ORDER BY name").fetchall()
    [(arrivals,)] = rows.execute("SELECT sum(times) FROM arrivals").fetchall()
    rows.close()
    assert found == [("<emu>", "worker-1", None), ("cat", "worker-1", None), ("dog", "worker-2", None)]
    assert arrivals == 6
    text = page.read_text(encoding="utf-8")
    assert text.count("<figure>") == 3
    assert "&lt;emu&gt;" in text
    assert "<emu>" not in text


# The whole site.


class Site:
    """`demo.py` as one runs it, with an output folder and a folder for temporary files of its own."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "out"
        # A short path: the daemon's socket lies in it.
        self.temporary = Path(tempfile.mkdtemp(prefix="rw"))
        self.environ = os.environ | {"TMPDIR": str(self.temporary)}

    def command(self, *arguments: str | Path) -> list[str | Path]:
        return [sys.executable, EXAMPLE / "demo.py", "--output", self.output, *arguments]

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=WHOLE_RUN,
        )

    def leftovers(self) -> list[str]:
        """Processes and temporary files."""
        listed = subprocess.run(
            ["ps", "-Aww", "-o", "pid=,args="], capture_output=True, text=True, check=True
        )
        ours = str(self.temporary), str(self.output / "videos")  # of which ffmpeg knows only the second
        processes = [line for line in listed.stdout.splitlines() if any(each in line for each in ours)]
        return processes + [str(path) for path in self.temporary.iterdir()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    shutil.rmtree(site.temporary)


@pytest.mark.proof
@pytest.mark.needs("ps")
def test_each_file_is_transcoded_although_a_worker_and_the_daemon_are_killed(site: Site) -> None:
    run = site.run("--files", "6")

    assert run.returncode == 0, run.stdout + run.stderr
    assert "FAILED" not in run.stdout
    assert run.stdout.count("kill -9") == 2
    assert "0 -> 1 workers" in run.stdout
    assert "1 -> 2 workers" in run.stdout
    assert "came again" in run.stdout
    assert "\x1b" not in run.stdout, "a pipe gets plain lines"
    assert run.stderr == ""
    rows = sqlite3.connect(site.output / "index.sqlite")
    indexed = {name for (name,) in rows.execute("SELECT file FROM videos WHERE error IS NULL")}
    rows.close()
    videos = {path.name for path in (site.output / "videos").iterdir()}
    assert len(videos) == 6
    assert indexed == videos
    page = (site.output / "contact-sheet.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,/9j/') == 6
    assert site.leftovers() == []
    assert not (site.output / "store").exists()


@pytest.mark.proof
def test_a_file_that_is_no_video_is_given_up_and_fails_the_run(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "broken.mkv").write_bytes(b"no video " * 100)

    run = site.run(folder)

    assert run.returncode == 1, run.stdout + run.stderr
    assert "FAILED  every file is in the index once" in run.stdout
    assert "broken was given up: cannot be read as a video" in run.stdout
    assert "ok      both queues are empty" in run.stdout


@pytest.mark.proof
@pytest.mark.needs("ps")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_no_process(site: Site, number: signal.Signals) -> None:
    with subprocess.Popen(
        site.command("--files", "4"), env=site.environ, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if " pool " in line:
                break
        until = time.monotonic() + PATIENCE
        while not any("ffmpeg" in each for each in site.leftovers()):
            assert time.monotonic() < until, f"no worker began: {site.leftovers()}"
            time.sleep(0.05)
        demo.send_signal(number)
        last = demo.stdout.read()
        assert demo.wait(PATIENCE) == 128 + number

    assert f"Stopped by {number.name}" in last
    assert site.leftovers() == []


def test_a_folder_without_videos_is_refused_before_anything_is_made(site: Site, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video", encoding="utf-8")

    run = site.run(tmp_path)

    assert run.returncode == 2
    assert run.stderr.startswith("demo: there is no video in")
    assert not site.output.exists()


def test_an_output_folder_with_something_in_it_is_left_alone(site: Site) -> None:
    site.output.mkdir()
    (site.output / "precious").touch()

    run = site.run("--files", "1")

    assert run.returncode == 2
    assert "is not empty" in run.stderr
    assert [path.name for path in site.output.iterdir()] == ["precious"]
