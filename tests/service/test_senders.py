"""The senders' settings: what is wrong with them is said before anything starts, and no secret in it."""

from pathlib import Path

import pytest

from ropewayd.deliveries.function import Address, Program
from ropewayd.exits import Misconfigured
from ropewayd.functions_file import read_functions
from ropewayd.senders import make_senders, make_web
from ropewayd.sources import gather
from ropewayd.texting.phones import Phones

LOGIN = {"email.relay": "relay.example.com:587", "email.user": "ropeway"}


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    return path


def test_every_protocol_has_a_sender_without_a_setting() -> None:
    assert set(make_senders(gather({}, {}), None, Phones())) == {
        "email",
        "email-json",
        "lambda",
        "firehose",
        "sms",
    }


def test_a_password_comes_from_a_private_file_or_the_service_manager(password: Path) -> None:
    flags = LOGIN | {"email.password_file": str(password)}
    assert "email" in make_senders(gather(flags, {}), None, Phones())
    password.chmod(0o644)
    with pytest.raises(Misconfigured, match="can be read by others"):
        make_senders(gather(flags, {}), None, Phones())
    assert "email" in make_senders(gather(flags, {}), str(password.parent), Phones())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"email.sender": "nobody"}, "email.sender"),
        ({"email.relay": "relay:99999"}, "email.relay"),
        (LOGIN, "email.user .* without email.password_file"),
        (LOGIN | {"email.password_file": "/nowhere/at/all"}, "cannot read /nowhere/at/all"),
        (LOGIN | {"email.password_file": "PASSWORD", "email.tls": "none"}, "email.tls .*could read"),
        (
            {"firehose.url": "http://a/", "firehose.access_key_file": "/nowhere/at/all"},
            "firehose.access_key_file",
        ),
        ({"sms.gateway": "http://a/", "sms.template": "x"}, "sms.template"),
        (
            {"sms.gateway": "http://a/", "sms.headers_file": "PASSWORD"},
            "sms.headers_file .* must be a header",
        ),
        ({"email.relay": "relay:25", "email.ca": "/nowhere/at/all"}, "email.ca"),
    ],
)
def test_what_is_wrong_is_said(flags: dict[str, str], said: str, password: Path) -> None:
    flags = {name: value.replace("PASSWORD", str(password)) for name, value in flags.items()}
    with pytest.raises(Misconfigured, match=said) as wrong:
        make_senders(gather(flags, {}), None, Phones())
    assert "s3cret" not in str(wrong.value)


FUNCTIONS = """
[resize]
command = ["/usr/local/bin/resize", "--quiet"]
timeout = 2.5
[later]
command = ["later"]
[notify]
url = "http://127.0.0.1:9000/"
"""


def test_a_file_of_functions(tmp_path: Path) -> None:
    path = tmp_path / "functions.toml"
    path.write_text(FUNCTIONS)
    path.chmod(0o644)
    assert read_functions(path, "functions.file", 30) == {
        "resize": Program(("/usr/local/bin/resize", "--quiet"), 2.5),
        "later": Program(("later",), 30),
        "notify": Address("http://127.0.0.1:9000/"),
    }
    assert "lambda" in make_senders(gather({"functions.file": str(path)}, {}), None, Phones())
    path.chmod(0o664)
    with pytest.raises(Misconfigured, match="written by others"):
        read_functions(path, "functions.file", 30)


@pytest.mark.parametrize(
    "text",
    ["x", "x = 1", "[x]", '[x]\nurl = "ftp://a"', '[x]\nurl = "http://a"\ncommand = ["b"]',
     "[x]\ncommand = []", '[x]\ncommand = "sh -c y"', '[x]\ncommand = ["a"]\ntimeout = 0', '[x]\nshell = "a"',
     '["a/b"]\ncommand = ["a"]', '[x]\nurl = "http://a"\ntimeout = 3'],
)  # fmt: skip
def test_what_is_wrong_in_a_file_of_functions_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "functions.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match=r"functions\.file"):
        read_functions(path, "functions.file", 30)


def test_networks_of_subscribers_are_networks() -> None:
    make_web(gather({"subscribers.networks": "10.1.0.0/16,fd00::/8"}, {}), local=True)
    for text in ("10.1.2.3/16", "intranet", "10.0.0.0/33"):
        with pytest.raises(Misconfigured, match=r"subscribers\.networks"):
            make_web(gather({"subscribers.networks": text}, {}), local=False)
