"""`ropewayd key` writes a file that the daemon takes, and shows a secret once."""

import json
from pathlib import Path

import pytest

from ropewayd.__main__ import main
from ropewayd.keys import access_keys
from ropewayd.sources import gather
from ropewayd.vocabulary.access_key import AccessKey


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def keys(file: Path) -> dict[str, AccessKey]:
    return access_keys(gather({"keys.file": str(file)}, {}))


def create(capsys: pytest.CaptureFixture[str], file: Path, *arguments: str) -> tuple[str, str]:
    assert main(["key", "create", *arguments, "--json", "--file", str(file)]) == 0
    made = json.loads(capsys.readouterr().out)
    return made["AccessKeyId"], made["SecretAccessKey"]


def test_a_key_is_made_listed_rotated_disabled_and_deleted(
    capsys: pytest.CaptureFixture[str], file: Path
) -> None:
    key, secret = create(capsys, file)
    assert create(capsys, file, "worker", "--account", "111122223333")[0] == "worker"
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys(file)[key] == AccessKey(secret, "000000000000")
    assert keys(file)["worker"].account == "111122223333"

    assert main(["key", "list", "--file", str(file)]) == 0
    listed = capsys.readouterr().out
    assert key in listed
    assert "111122223333" in listed
    assert secret not in listed

    assert main(["key", "rotate", "worker", "--json", "--file", str(file)]) == 0
    assert keys(file)["worker"].secret == json.loads(capsys.readouterr().out)["SecretAccessKey"]
    assert keys(file)["worker"].account == "111122223333"
    assert main(["key", "disable", "worker", "--file", str(file)]) == 0
    assert list(keys(file)) == [key]
    assert main(["key", "enable", "worker", "--file", str(file)]) == 0
    assert list(keys(file)) == [key, "worker"]
    assert main(["key", "delete", key, "--file", str(file)]) == 0
    assert list(keys(file)) == ["worker"]


def test_what_else_is_in_the_file_stays(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    file.touch(mode=0o600)
    file.write_text('# mine\n"a.b" = "a-secret-of-sixteen"  # old\nplain = "a-secret-of-sixteen"\n')
    create(capsys, file, "new")
    assert main(["key", "delete", "plain", "--file", str(file)]) == 0
    text = file.read_text()
    assert text.startswith('# mine\n"a.b" = "a-secret-of-sixteen"  # old\n')
    assert list(keys(file)) == ["a.b", "new"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rotate", "nobody"], "no key nobody"),
        (["create", "worker"], "there is a key worker"),
        (["create", "a b"], "an id of"),
        (["create", "x", "--account", "12"], "twelve digits"),
        (["forget"], "invalid choice"),
    ],
)
def test_what_is_wrong_is_told(
    capsys: pytest.CaptureFixture[str], file: Path, arguments: list[str], said: str
) -> None:
    create(capsys, file, "worker")
    before = file.read_text()
    assert main(["key", *arguments, "--file", str(file)]) == 78
    assert said in capsys.readouterr().err
    assert file.read_text() == before


def test_without_a_file_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "list"]) == 78
    assert "--file" in capsys.readouterr().err
