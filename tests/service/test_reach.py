"""A daemon that other machines may reach: access keys and TLS, through a real process."""

import ssl
import subprocess
from pathlib import Path

import pytest

from tests.certificate import self_signed
from tests.daemon import Daemon, Ended
from tests.service.wire import CREATE_QUEUE, Wire

KEY = ("me", "correct-horse-battery")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.touch(mode=0o600)
    path.write_text(f'{KEY[0]} = "{KEY[1]}"\n')
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    return self_signed(tmp_path, "DNS:localhost")


def test_with_a_key_it_serves_every_address_and_those_who_know_the_key(tmp_path: Path, keys: Path) -> None:
    with Daemon(tmp_path, "--keys-file", str(keys), listen=["0.0.0.0:0"]) as daemon:
        port = daemon.addresses[0].rpartition(":")[2]
        address = f"127.0.0.1:{port}"
        with Wire(address, KEY) as wire:
            assert wire.greeting["keys"] is True
            assert wire.hello["proof"]
            wire.call(CREATE_QUEUE, {"queue": "jobs"})
        for wrong in (None, ("me", "another-secret-altogether"), ("you", KEY[1])):
            with pytest.raises(RuntimeError, match="AccessDenied"):
                Wire(address, wrong)
    assert KEY[1] not in str(daemon.log) + daemon.said


def test_a_key_is_asked_for_on_loopback_too(tmp_path: Path) -> None:
    environ = {"ROPEWAY_KEYS_SECRETS": ":".join(KEY)}
    with Daemon(tmp_path, environ=environ) as daemon:
        with pytest.raises(RuntimeError, match="AccessDenied"):
            Wire(daemon.addresses[0])
        Wire(daemon.addresses[0], KEY).close()


@pytest.mark.needs("openssl")
def test_tls_on_tcp_and_plain_on_a_unix_socket(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    flags = ["--tls-certificate", str(certificate[0]), "--tls-key", str(certificate[1])]
    with Daemon(tmp_path, *flags, listen=["127.0.0.1:0", f"unix:{tmp_path / 'socket'}"]) as daemon:
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        with Wire(daemon.addresses[0], tls=trusting) as wire:
            wire.call(CREATE_QUEUE, {"queue": "jobs"})
            assert isinstance(wire.socket, ssl.SSLSocket)
            assert wire.socket.version() in {"TLSv1.2", "TLSv1.3"}
        Wire(daemon.addresses[1]).close()
        with pytest.raises(ssl.SSLCertVerificationError):
            Wire(daemon.addresses[0], tls=ssl.create_default_context())


@pytest.mark.needs("openssl")
def test_certificates_that_will_not_do_are_told(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    right, key = map(str, certificate)
    encrypted = tmp_path / "encrypted.pem"
    subprocess.run(
        ["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", encrypted],
        check=True,
        capture_output=True,
    )
    for pair, said in [
        ((key, right), "not a certificate and its key"),
        ((right, str(tmp_path / "missing")), "cannot read"),
        ((right, str(encrypted)), "encrypted"),
    ]:
        daemon = Daemon(tmp_path, "--tls-certificate", pair[0], "--tls-key", pair[1])
        with pytest.raises(Ended, match=said):
            daemon.start()
        assert daemon.code == 78
        assert len(daemon.log) == 1
        assert "tls." in daemon.log[0]["event"]
