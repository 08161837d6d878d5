"""The senders' settings: what is wrong with them is said before anything starts, and no secret in it."""

from pathlib import Path

import pytest

from ropewayd.exits import Misconfigured
from ropewayd.senders import make_senders
from ropewayd.sources import gather

LOGIN = {"email.relay": "relay.example.com:587", "email.user": "ropeway"}


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    return path


def test_every_protocol_has_a_sender_without_a_setting() -> None:
    assert set(make_senders(gather({}, {}), None)) == {"email", "email-json"}


def test_a_password_comes_from_a_private_file_or_the_service_manager(password: Path) -> None:
    flags = LOGIN | {"email.password_file": str(password)}
    assert "email" in make_senders(gather(flags, {}), None)
    password.chmod(0o644)
    with pytest.raises(Misconfigured, match="can be read by others"):
        make_senders(gather(flags, {}), None)
    assert "email" in make_senders(gather(flags, {}), str(password.parent))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"email.sender": "nobody"}, "email.sender"),
        ({"email.relay": "relay:99999"}, "email.relay"),
        (LOGIN, "email.user .* without email.password_file"),
        (LOGIN | {"email.password_file": "/nowhere/at/all"}, "cannot read /nowhere/at/all"),
        (LOGIN | {"email.password_file": "PASSWORD", "email.tls": "none"}, "email.tls .*could read"),
        ({"email.relay": "relay:25", "email.ca": "/nowhere/at/all"}, "email.ca"),
    ],
)
def test_what_is_wrong_is_said(flags: dict[str, str], said: str, password: Path) -> None:
    flags = {name: value.replace("PASSWORD", str(password)) for name, value in flags.items()}
    with pytest.raises(Misconfigured, match=said) as wrong:
        make_senders(gather(flags, {}), None)
    assert "s3cret" not in str(wrong.value)
