"""`ropewayd key`: write a file of access keys, a line a key, that only its owner may read.

Rule 1  A secret is shown once, when it is made, and nowhere else.
Rule 2  The file is replaced as a whole, or not at all; comments and what it says of other keys stay.
Rule 3  A daemon reads its keys when it starts and at SIGHUP: the command says so.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

from ropewayd.exits import CLEAN, Misconfigured
from ropewayd.keys import MAX_KEYS, Entry, account_of, parse, read
from ropewayd.settings import toml
from ropewayd.sources import gather

BLAME: Final = "the file of keys"
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

EXAMPLES = """\
examples:
  ropewayd key create --file keys.toml                      a new key, its id and secret printed once
  ropewayd key create worker --account 111122223333 --file keys.toml
  ropewayd key list --file keys.toml                        ids, accounts and states, no secrets
  ropewayd key rotate worker --file keys.toml               another secret for the same id
  ropewayd key disable worker --file keys.toml              and `enable`, and `delete`

Without --file it is the file that keys.file names (ROPEWAY_KEYS_FILE, or a file of settings). A daemon reads
its keys when it starts.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misconfigured(f"{message}; see ropewayd key --help")


def run(arguments: Sequence[str]) -> int:
    """Run the command line after `ropewayd`; gives the exit code. Raises Misconfigured."""
    given = _parser().parse_args(arguments[1:])
    place = given.file or gather({}, os.environ, given.config).settings.keys.file
    if not place:
        raise Misconfigured("no file of keys is named: give --file FILE, or set keys.file")
    file = KeyFile(Path(place))
    if given.act == "list":
        _print(file.entries, as_json=given.json)
        return CLEAN
    if given.act == "create":
        _show(*file.create(given.id, given.account), as_json=given.json)
    elif given.act == "rotate":
        _show(given.id, file.rotate(given.id), as_json=given.json)
    elif given.act == "delete":
        file.delete(given.id)
    else:
        file.disable(given.id, disabled=given.act == "disable")
    sys.stderr.write("A daemon that runs sees it at a SIGHUP, or when it is restarted.\n")
    return CLEAN


class KeyFile:
    """A file of keys that is changed line by line. Raises Misconfigured."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: dict[str, Entry] = {}
        self._lines: list[str] = []
        if path.exists():
            self.entries = read(path, BLAME) if path.stat().st_size else {}
            self._lines = path.read_text(encoding="utf-8").splitlines()

    def create(self, key: str | None, account: str | None) -> tuple[str, str]:
        """A new key's id and secret."""
        key = key or "RK" + "".join(secrets.choice(_LETTERS) for _ in range(18))
        if key in self.entries:
            raise Misconfigured(f"there is a key {key} in {self._path}; `rotate` gives it another secret")
        if len(self.entries) >= MAX_KEYS:
            raise Misconfigured(f"{self._path} has {MAX_KEYS} keys, and that is the limit")
        secret = secrets.token_urlsafe(30)
        entry = {"secret": secret, "account": account, "created": _now()}
        parse({key: {name: value for name, value in entry.items() if value}}, f"the key {key}")
        self._lines.append(_line(key, Entry(secret, account, created=_now())))
        self._write()
        return key, secret

    def rotate(self, key: str) -> str:
        """The key's new secret; the old one is gone."""
        old, secret = self._entry(key), secrets.token_urlsafe(30)
        self._put(key, Entry(secret, old.account, old.token, old.disabled, _now()))
        return secret

    def disable(self, key: str, *, disabled: bool) -> None:
        old = self._entry(key)
        self._put(key, Entry(old.secret, old.account, old.token, disabled, old.created))

    def delete(self, key: str) -> None:
        self._entry(key)
        del self._lines[self._place(key)]
        self._write()

    def _entry(self, key: str) -> Entry:
        if key not in self.entries:
            raise Misconfigured(f"there is no key {key} in {self._path}")
        return self.entries[key]

    def _put(self, key: str, entry: Entry) -> None:
        self._lines[self._place(key)] = _line(key, entry)
        self._write()

    def _place(self, key: str) -> int:
        """The line that is this key's, and nothing else's."""
        for place, line in enumerate(self._lines):
            try:
                if list(tomllib.loads(line)) == [key]:
                    return place
            except tomllib.TOMLDecodeError:
                continue
        raise Misconfigured(f"the key {key} is not on one line of {self._path}: change it by hand")

    def _write(self) -> None:
        text = "".join(f"{line}\n" for line in self._lines)
        made = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            made.replace(self._path)
        except OSError as wrong:
            made.unlink(missing_ok=True)
            raise Misconfigured(f"cannot write {self._path}: {wrong.strerror}") from None


def _line(key: str, entry: Entry) -> str:
    said: dict[str, Any] = {"secret": entry.secret, "account": entry.account, "token": entry.token}
    parts = [f"{name} = {toml(value)}" for name, value in said.items() if value]
    parts += ["disabled = true"] if entry.disabled else []
    parts += [f"created = {toml(entry.created)}"] if entry.created else []
    return f"{toml(key)} = {{ {', '.join(parts)} }}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _show(key: str, secret: str, *, as_json: bool) -> None:
    if as_json:
        text = json.dumps({"AccessKeyId": key, "SecretAccessKey": secret}, indent=2)
    else:
        text = f"AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _print(entries: dict[str, Entry], *, as_json: bool) -> None:
    rows = [
        {
            "id": key,
            "account": entry.account or account_of(key, ""),
            "state": "disabled" if entry.disabled else "enabled",
            "created": entry.created or "",
        }
        for key, entry in entries.items()
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    width = max((len(row["id"]) for row in rows), default=0)
    for row in rows:
        account = row["account"] or "the daemon's"
        sys.stdout.write(
            f"{row['id']:<{width}}  {account:<12}  {row['state']:<8}  {row['created']}".rstrip() + "\n"
        )
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ropewayd key",
        description="Write a file of access keys.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    acts = parser.add_subparsers(
        dest="act", metavar="create | list | rotate | disable | enable | delete", required=True
    )
    for name, said in (
        ("create", "make a key, and print its secret once"),
        ("list", "print ids, accounts and states"),
        ("rotate", "give a key another secret, and print it once"),
        ("disable", "let nobody in with this key until it is enabled"),
        ("enable", "let its owner in again"),
        ("delete", "forget a key"),
    ):
        act = acts.add_parser(
            name, help=said, description=said[0].upper() + said[1:] + ".", allow_abbrev=False
        )
        if name == "create":
            act.add_argument("id", metavar="ID", nargs="?", help="its id; made up unless given")
            act.add_argument("--account", metavar="N", help="its account, if not the daemon's")
        elif name != "list":
            act.add_argument("id", metavar="ID", help="its id")
        if name in {"create", "rotate", "list"}:
            act.add_argument("--json", action="store_true", help="print JSON")
        act.add_argument("--file", metavar="FILE", help="the file of keys (keys.file)")
        act.add_argument("--config", metavar="FILE", help="file of settings, TOML (variable ROPEWAY_CONFIG)")
    return parser
