"""Certificates that vouch for themselves, for tests that speak TLS; `openssl` makes them."""

import subprocess
from pathlib import Path


def self_signed(directory: Path, names: str) -> tuple[Path, Path]:
    """A certificate for these names, as DNS:localhost,IP:127.0.0.1, and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", f"subjectAltName={names}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key
