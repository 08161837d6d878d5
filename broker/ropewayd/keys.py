"""The access keys: ids and secrets, from the settings and from a file of their own.

A file of keys has a line a key, `id = "secret"`, or `id = { secret = "...", account = "..." }` where more is
said of it, and nobody but its owner may read it. Whoever knows a secret may do everything in its account;
either side proves that it knows it, and neither sends it. `ropewayd key` writes such a file (key_command.py).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ropewayd.exits import Misconfigured
from ropewayd.sources import MAX_FILE_BYTES, Configuration, read_private
from ropewayd.vocabulary.access_key import AccessKey

_ACCOUNT = re.compile(r"[0-9]{12}\Z", re.ASCII)

Secret = Annotated[str, Meta(min_length=16, max_length=1024)]
MAX_KEYS: Final = 10_000


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a file of keys can say of one."""

    secret: Secret
    account: Annotated[str, Meta(pattern="^[0-9]{12}$")] | None = None
    token: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    disabled: bool = False
    created: Annotated[str, Meta(max_length=40)] | None = None


Entries = Annotated[
    dict[Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,128}$")], Secret | Entry], Meta(max_length=MAX_KEYS)
]


def access_keys(
    configuration: Configuration, credentials_directory: str | None = None
) -> dict[str, AccessKey]:
    """Every key by its id, empty if none are set. Raises Misconfigured, without a secret in it.

    `credentials_directory` is where the service manager keeps secrets for this process alone: it sets their
    modes, and they need no check.
    """
    home = configuration.settings.daemon.account
    keys = {
        key: AccessKey(secret, account_of(key, home))
        for key, secret in configuration.settings.keys.secrets.items()
    }
    if not configuration.settings.keys.file:
        return keys
    path = Path(configuration.settings.keys.file)
    blame = configuration.blame("keys.file")
    entries = read(path, blame, credentials_directory)
    for key, entry in entries.items():
        if key in keys:
            raise Misconfigured(
                f"the key {key} is in {path} and in {configuration.blame('keys.secrets')}: keep one"
            )
        if not entry.disabled:
            keys[key] = AccessKey(entry.secret, entry.account or account_of(key, home), entry.token or "")
    if not keys:
        raise Misconfigured(f"{blame}: every key in {path} is disabled, so nobody could call")
    return keys


def account_of(key: str, home: str) -> str:
    """The account of a key that says none: an id of twelve digits is one."""
    return key if _ACCOUNT.match(key) else home


def read(path: Path, blame: str, credentials_directory: str | None = None) -> dict[str, Entry]:
    """The keys in a file. Raises Misconfigured, without a secret in it."""
    content = read_private(path, blame, MAX_FILE_BYTES, "it holds secrets", credentials_directory)
    try:
        document = tomllib.loads(content.decode())
    except ValueError as wrong:
        raise Misconfigured(f'{blame}: {path} must have lines like id = "secret": {wrong}') from None
    found = parse(document, f"{blame}: each key in {path}")
    if not found:
        raise Misconfigured(f"{blame}: {path} has no key in it")
    return found


def parse(document: dict[str, Any], each: str) -> dict[str, Entry]:
    """The keys in what TOML gave. Raises Misconfigured, without a secret in it."""
    try:
        found: dict[str, str | Entry] = msgspec.convert(document, Entries)
    except msgspec.ValidationError:
        raise Misconfigured(
            f"{each} must have an id of 1 to 128 letters, digits, dots, dashes or underscores, and a secret "
            "of 16 to 1024 characters in quotes; beside a secret there can be an account of twelve digits, a "
            "token, created and disabled"
        ) from None
    return {key: entry if isinstance(entry, Entry) else Entry(entry) for key, entry in found.items()}
