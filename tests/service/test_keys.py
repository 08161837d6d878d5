"""Access keys come from private places only, and faults never show a secret."""

from pathlib import Path

import pytest

from ropewayd.exits import Misconfigured
from ropewayd.keys import access_keys
from ropewayd.sources import gather
from ropewayd.vocabulary.access_key import AccessKey

SECRET = "correct-horse-battery"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f'me = "{SECRET}"\n"an.id-x" = "{SECRET}2"\n')
    return path


def test_no_keys_by_default() -> None:
    assert access_keys(gather({}, {})) == {}


def test_keys_come_from_the_file_and_the_settings(file: Path) -> None:
    configuration = gather({"keys.file": str(file)}, {"ROPEWAY_KEYS_SECRETS": f"you:{SECRET}"})
    home = "000000000000"
    assert access_keys(configuration) == {
        "me": AccessKey(SECRET, home),
        "an.id-x": AccessKey(f"{SECRET}2", home),
        "you": AccessKey(SECRET, home),
    }


def test_a_key_may_have_an_account_and_a_token_and_be_disabled(file: Path) -> None:
    file.write_text(
        f'me = {{ secret = "{SECRET}", account = "111122223333", token = "t" }}\n'
        f'111122224444 = "{SECRET}"\noff = {{ secret = "{SECRET}", disabled = true }}\n'
    )
    assert access_keys(gather({"keys.file": str(file)}, {})) == {
        "me": AccessKey(SECRET, "111122223333", "t"),
        "111122224444": AccessKey(SECRET, "111122224444"),
    }


def test_a_file_of_disabled_keys_lets_nobody_in_rather_than_all(file: Path) -> None:
    file.write_text(f'off = {{ secret = "{SECRET}", disabled = true }}\n')
    with pytest.raises(Misconfigured, match="every key"):
        access_keys(gather({"keys.file": str(file)}, {}))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_file_that_others_can_open_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(Misconfigured, match=f"chmod 600 {file}"):
        access_keys(gather({"keys.file": str(file)}, {}))


def test_the_service_managers_credentials_need_no_check(file: Path) -> None:
    file.chmod(0o440)
    assert "me" in access_keys(gather({"keys.file": str(file)}, {}), str(file.parent))
    with pytest.raises(Misconfigured):
        access_keys(gather({"keys.file": str(file)}, {}), "/run/credentials")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no key in it"),
        (f"me = {SECRET}", "lines like"),
        (f'me = "{SECRET[:15]}"', "16 to 1024"),
        (f'"a b" = "{SECRET}"', "an id of"),
        (f'[section]\nme = "{SECRET}"', "an id of|secret of"),
    ],
)
def test_a_fault_in_the_file_is_told_without_the_secret(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(Misconfigured, match=said) as raised:
        access_keys(gather({"keys.file": str(file)}, {}))
    assert str(raised.value).startswith("keys.file (--keys-file): ")
    assert SECRET[:12] not in str(raised.value)


def test_a_missing_file_and_a_key_in_two_places_are_told(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="No such file"):
        access_keys(gather({"keys.file": str(tmp_path / "nowhere")}, {}))
    with pytest.raises(Misconfigured, match="keep one"):
        access_keys(gather({"keys.file": str(file)}, {"ROPEWAY_KEYS_SECRETS": f"me:{SECRET}"}))
