"""Tests that need a program: run where it is, left out and named where not, failing where all must run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.needs("sh")
def test_that_can_run():
    pass

@pytest.mark.needs("sh", "no-such-program")
def test_that_cannot():
    raise AssertionError("it ran")

@pytest.mark.needs("no-such-program")
def test_that_cannot_either():
    raise AssertionError("it ran")
"""


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("insist", [False, True], ids=["desk", "all"])
def test_a_test_whose_program_is_missing(tmp_path: Path, insist: bool, workers: tuple[str, ...]) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  needs: programs\n", encoding="utf-8")
    (tmp_path / "test_sample.py").write_text(TESTS, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["ROPEWAY_TEST_ALL"] = "1" if insist else "0"

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *workers],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    if insist:
        assert run.returncode == 1, run.stdout
        assert "1 passed, 2 errors" in run.stdout
        assert "not on PATH, and ROPEWAY_TEST_ALL=1: no-such-program" in run.stdout
    else:
        assert run.returncode == 0, run.stdout
        assert "1 passed, 2 skipped" in run.stdout
        assert "left out, for want of a program" in run.stdout
        assert "\nno-such-program: 2 tests\n" in run.stdout
