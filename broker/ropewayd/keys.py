"""The access keys: ids and secrets, from the settings and from a file of their own.

A file of keys has a line a key, `id = "secret"`, and nobody but its owner may read it. Whoever knows a secret
may do everything; either side proves that it knows it, and neither sends it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from ropewayd.exits import Misconfigured
from ropewayd.settings import catalogue
from ropewayd.sources import MAX_FILE_BYTES, Configuration, check_private


def access_keys(configuration: Configuration, credentials_directory: str | None = None) -> dict[str, str]:
    """Every key's secret by its id, empty if none are set. Raises Misconfigured, without a secret in it.

    `credentials_directory` is where the service manager keeps secrets for this process alone: it sets their
    modes, and they need no check.
    """
    keys = dict(configuration.settings.keys.secrets)
    if configuration.settings.keys.file:
        path = Path(configuration.settings.keys.file)
        for key, secret in _read(configuration, path, credentials_directory).items():
            if key in keys:
                raise Misconfigured(
                    f"the key {key} is in {path} and in {configuration.blame('keys.secrets')}: keep one"
                )
            keys[key] = secret
    return keys


def _read(configuration: Configuration, path: Path, credentials_directory: str | None) -> dict[str, str]:
    blame = configuration.blame("keys.file")
    try:
        if credentials_directory is None or path.parent != Path(credentials_directory):
            check_private(path, "it holds secrets")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as wrong:
        raise Misconfigured(f"{blame}: cannot read {path}: {wrong.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise Misconfigured(f"{blame}: {path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        document = tomllib.loads(content.decode())
    except ValueError as wrong:
        raise Misconfigured(f'{blame}: {path} must have lines like id = "secret": {wrong}') from None
    try:
        found: dict[str, str] = msgspec.convert(document, catalogue()["keys.secrets"].annotation)
    except msgspec.ValidationError:
        raise Misconfigured(
            f"{blame}: each key in {path} must have an id of 1 to 128 letters, digits, dots, dashes or "
            "underscores, and a secret of 16 to 1024 characters in quotes"
        ) from None
    if not found:
        raise Misconfigured(f"{blame}: {path} has no key in it")
    return found
