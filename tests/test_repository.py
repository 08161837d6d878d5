"""What the repository promises to those who install it: its packages, extras, pins and make targets.

The tests here that install something ask pip, as it is configured, for packages: they are proofs for that
reason.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8")


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned() -> None:
    pins = {normalised(line.partition("==")[0]) for line in CONSTRAINTS.splitlines() if "==" in line}
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [
        *PROJECT["project"]["dependencies"],
        *(entry for entries in extras.values() for entry in entries),
    ]
    names = {normalised(re.split(r"[^\w.-]", entry)[0]) for entry in wanted} - {"ropeway"}

    assert {"msgpack", "uvloop"} <= names
    assert names - pins == set()


def test_the_pins_say_no_more_than_a_version() -> None:
    lines = [line for line in CONSTRAINTS.splitlines() if not line.startswith("#")]

    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+!]+", line)] == []


def test_the_client_needs_msgpack_alone() -> None:
    assert [re.split(r"\W", entry)[0] for entry in PROJECT["project"]["dependencies"]] == ["msgpack"]


@pytest.mark.needs("make")
def test_make_alone_lists_every_target() -> None:
    run = subprocess.run(["make"], cwd=REPOSITORY, env=plain(), capture_output=True, text=True, check=True)

    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    declared = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert declared is not None
    listed = re.findall(r"^  make ([\w-]+) +\w", run.stdout, re.MULTILINE)
    assert sorted(listed) == sorted(declared[1].split())


@pytest.mark.parametrize("hidden", ["none at all", "one too old"])
def test_without_a_python_the_makefile_says_what_to_install(tmp_path: Path, hidden: str) -> None:
    copy_of_repository(tmp_path / "copy")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "grep", "tr", "cmp", "head", "cut", "awk"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    if hidden == "one too old":
        old = programs / "python3"
        old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        old.chmod(0o755)
    environment = {"PATH": str(programs), "HOME": str(tmp_path)}

    run = subprocess.run(
        [tmp_path / "copy" / ".ci" / "venv", ".venv", "dev"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.startswith(
        "Ropeway needs Python 3.11 or newer with its venv module, and none was found"
    )
    assert not (tmp_path / "copy" / ".venv").exists()


@pytest.mark.proof
def test_the_wheel_holds_both_packages_and_their_scripts(tmp_path: Path) -> None:
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(REPOSITORY))

    (wheel,) = tmp_path.glob("ropeway-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        scripts = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    shipped = {
        path.relative_to(root.parent).as_posix()
        for root in (REPOSITORY / "broker" / "ropewayd", REPOSITORY / "client" / "ropeway")
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"ropewayd/py.typed", "ropeway/py.typed"} <= shipped <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"ropewayd", "ropeway"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "ropewayd = ropewayd.__main__:main" in scripts
    assert "ropeway = ropeway.__main__:main" in scripts


@pytest.mark.proof
@pytest.mark.parametrize(
    ("arguments", "present", "absent"),
    [
        (["."], ["msgpack"], ["uvloop", "aiosqlite", "structlog", "msgspec", "click", "rich", "pytest"]),
        (["-e", "."], ["msgpack"], ["uvloop", "click", "pytest"]),
        ([".[broker]"], ["msgpack", "uvloop", "aiosqlite", "structlog", "msgspec"], ["click", "pytest"]),
        ([".[cli]"], ["msgpack", "click", "rich"], ["uvloop", "msgspec", "pytest"]),
    ],
    ids=["client", "editable", "broker", "cli"],
)
def test_it_installs_into_a_clean_environment(
    tmp_path: Path, arguments: list[str], present: list[str], absent: list[str]
) -> None:
    copy_of_repository(tmp_path / "copy")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"

    pip(python, "install", "-c", "constraints.txt", *arguments, cwd=tmp_path / "copy")

    find = "import sys, importlib.util as u; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
    found = succeed([python, "-I", "-c", find, *present, *absent]).split()
    assert found == present
    version = succeed([python, "-I", "-c", "import ropeway; print(ropeway.__version__)"]).strip()
    assert version == succeed([python, "-I", "-c", "import ropewayd; print(ropewayd.__version__)"]).strip()
    # Each script works where its extra is there, and otherwise says in one line what to install.
    for script, extra, needed in (("ropewayd", "broker", "uvloop"), ("ropeway", "cli", "click")):
        run = subprocess.run(
            [python.with_name(script), "--version"], env=plain(), capture_output=True, text=True, check=False
        )
        if needed in present:
            assert run.returncode == 0, run.stderr
            assert version in run.stdout
        else:
            assert run.returncode != 0
            assert f".[{extra}]" in run.stderr
            assert "Traceback" not in run.stderr


@pytest.mark.proof
def test_an_environment_is_installed_once_until_what_it_needs_changes(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_of_repository(copy)
    make_it: list[str | Path] = [copy / ".ci" / "venv", ".venv", "cli"]
    environment = plain() | {"PYTHON": sys.executable}

    assert "Installing" in succeed(make_it, env=environment)
    assert (copy / ".venv" / "bin" / "ropeway").exists()
    # From here on nothing can start in it, pip least of all: what is left is to compare files.
    python = copy / ".venv" / "bin" / "python"
    working = python.readlink()
    python.unlink()
    python.write_text("#!/bin/sh\nexit 99\n", encoding="utf-8")
    python.chmod(0o755)

    assert succeed(make_it, env=plain()) == ""

    python.unlink()
    python.symlink_to(working)
    with (copy / "constraints.txt").open("a", encoding="utf-8") as constraints:
        constraints.write("# changed\n")
    assert "Installing" in succeed(make_it, env=environment)
    assert succeed(make_it, env=environment) == ""


def copy_of_repository(target: Path) -> None:
    """The parts of the repository that installing it reads."""
    target.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, target)
    for name in (".ci", "broker", "client"):
        shutil.copytree(REPOSITORY / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))


def plain() -> dict[str, str]:
    """The environment without what make, pytest or another virtual environment put there."""
    ours = ("MAKE", "MFLAGS", "PYTEST", "VIRTUAL_ENV", "PYTHON", "ROPEWAY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def succeed(command: list[str | Path], cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a command that succeeds prints, errors among it."""
    run = subprocess.run(
        command,
        cwd=cwd,
        env=plain() if env is None else env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


def pip(python: str | Path, *arguments: str, cwd: Path | None = None) -> None:
    """Run pip quietly, with the configuration that it has here."""
    succeed([python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], cwd=cwd)
