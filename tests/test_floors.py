"""Imports point down. The rules are in tests/imports.py; here they are applied, and shown to bite."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import imports, violations

REPOSITORY = Path(__file__).resolve().parents[1]


def test_no_import_goes_against_the_design() -> None:
    assert violations(REPOSITORY) == []


def test_the_whole_repository_is_read() -> None:
    read = {entry.path for entry in imports(REPOSITORY)}

    assert {"tests/test_floors.py", "tests/imports.py"} <= read
    for package in ("broker/ropewayd/", "client/ropeway/"):
        assert any(path.startswith(package) for path in read)


def test_the_daemon_can_say_what_is_missing() -> None:
    """Its first module loads where nothing but Python is installed."""
    program = f"import sys; sys.path.insert(0, {str(REPOSITORY / 'broker')!r}); import ropewayd.__main__"

    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr


def plant(repository: Path, path: str, source: str) -> None:
    target = repository / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source, encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        # up a floor, in each way of writing it
        ("broker/ropewayd/vocabulary/names.py", "import ropewayd.store", "from floor 1 up to floor 2"),
        ("broker/ropewayd/vocabulary/names.py", "from ropewayd.kernel.wheel import Wheel", "from floor 1 up"),
        ("broker/ropewayd/store/sqlite.py", "from ropewayd import kernel", "from floor 2 up to floor 3"),
        ("broker/ropewayd/store/sqlite.py", "from .. import queues", "from floor 2 up to floor 4"),
        ("broker/ropewayd/store/sqlite.py", "from ..kernel.wheel import Wheel", "from floor 2 up to floor 3"),
        ("broker/ropewayd/store/__init__.py", "from ..kernel import wheel", "from floor 2 up to floor 3"),
        ("broker/ropewayd/store/deep/row.py", "from ...kernel import wheel", "from floor 2 up to floor 3"),
        (
            "broker/ropewayd/kernel/kernel.py",
            "def f():\n    from ropewayd.queues import queue",
            "from floor 3 up",
        ),
        (
            "broker/ropewayd/kernel/kernel.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ropewayd.protocols.binary",
            "from floor 3 up to floor 5",
        ),
        (
            "broker/ropewayd/kernel/kernel.py",
            "import importlib\nimportlib.import_module('ropewayd.queues')",
            "up",
        ),
        ("broker/ropewayd/kernel/kernel.py", "__import__('ropewayd.queues')", "from floor 3 up"),
        (
            "broker/ropewayd/kernel/kernel.py",
            "from importlib import import_module\nimport_module('..queues', __package__)",
            "from floor 3 up to floor 4",
        ),
        (
            "broker/ropewayd/queues/queue.py",
            "from ropewayd.settings import Settings",
            "from floor 4 up to floor 6",
        ),
        (
            "broker/ropewayd/protocols/binary.py",
            "from ropewayd import __main__",
            "from floor 5 up to floor 6",
        ),
        ("broker/ropewayd/kernel/kernel.py", "from ropewayd import *", "from floor 3 up"),
        ("broker/ropewayd/__init__.py", "from .vocabulary import errors", "from floor 0 up to floor 1"),
        # across one
        ("broker/ropewayd/queues/queue.py", "from ropewayd.topics import topic", "across floor 4"),
        ("broker/ropewayd/console/page.py", "from ropewayd.protocols import binary", "across floor 5"),
        # out of the daemon, and into it
        (
            "client/ropeway/queue.py",
            "from ropewayd.vocabulary import errors",
            "the client never imports the daemon",
        ),
        ("client/ropeway/cli/top.py", "import ropewayd", "the client never imports the daemon"),
        ("client/examples/site/demo.py", "import ropewayd.settings", "the client never imports the daemon"),
        ("broker/ropewayd/queues/queue.py", "import ropeway", "the daemon never imports the client"),
        # what is not shipped
        ("broker/ropewayd/queues/queue.py", "import bench.bareloop", "only tests and bench"),
        ("client/ropeway/queue.py", "from tests.kernel import world", "only tests and bench"),
        ("client/examples/site/demo.py", "import bench", "only tests and bench"),
        # what the client's library may need
        ("client/ropeway/queue.py", "import rich", "the client's library needs msgpack alone"),
        (
            "client/ropeway/__init__.py",
            "def f():\n    import uvloop",
            "the client's library needs msgpack alone",
        ),
    ],
)
def test_an_import_against_the_design_is_found(tmp_path: Path, path: str, source: str, reason: str) -> None:
    plant(tmp_path, path, source)

    found = violations(tmp_path)

    assert len(found) == 1, found
    assert found[0].startswith(f"{path}:{source.count(chr(10)) + 1}: ")
    assert reason in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("broker/ropewayd/kernel/kernel.py", "import ropewayd\nfrom ropewayd import __version__"),
        ("broker/ropewayd/kernel/kernel.py", "from ropewayd.vocabulary import errors\nfrom . import wheel"),
        ("broker/ropewayd/kernel/kernel.py", "from ..store import protocol\nfrom .wheel import Wheel"),
        ("broker/ropewayd/topics/fanout.py", "from ropewayd.queues.actions import SendMessage"),
        (
            "broker/ropewayd/protocols/binary/frame.py",
            "from ropewayd.protocols import catalogue\nimport msgpack",
        ),
        ("broker/ropewayd/__main__.py", "from ropewayd.settings import Settings\nfrom .queues import queue"),
        (
            "client/ropeway/queue.py",
            "import asyncio\nimport msgpack\nfrom . import errors\nfrom ropeway import url",
        ),
        ("client/ropeway/cli/top.py", "import click\nimport rich.table\nimport ropeway"),
        ("bench/run.py", "import ropeway\nimport ropewayd.vocabulary\nimport tests"),
        ("tests/queues/test_queue.py", "import bench\nfrom ropewayd.queues import queue"),
        (".venv/lib/ropewayd/kernel/kernel.py", "import tests"),
    ],
)
def test_what_the_design_allows_is_left_alone(tmp_path: Path, path: str, source: str) -> None:
    plant(tmp_path, path, source)

    assert violations(tmp_path) == []


def test_a_package_without_a_floor_is_found(tmp_path: Path) -> None:
    plant(tmp_path, "broker/ropewayd/attic/old.py", "import ropewayd.protocols")

    assert violations(tmp_path) == ["broker/ropewayd/attic: a package without a floor"]
