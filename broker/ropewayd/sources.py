"""Where the settings' values come from: flags over variables over the file over defaults.

Rule 1  Each value keeps its origin: the flag, the variable, or the file and line where it was set.
Rule 2  What is unknown, of the wrong type or out of range is an error that names the setting and the origin.
        It is never passed over, and never mended silently.
Rule 3  A secret's value is in no message and in no output of this module.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ropewayd.exits import Misconfigured
from ropewayd.settings import Setting, Settings, catalogue, sections, toml

MAX_FILE_BYTES = 4 * 1024 * 1024
MASK = "********"

FOREIGN = re.compile(
    r"ROPEWAY_(CONFIG|URL|KEY|KEY_ID|SECRET|CA|CLI_.*|TEST_.*|BENCH_.*|DEMO_.*|PORT|PORT_.*|SERVICE_.*)"
)
"""Variables that begin like the daemon's and are not settings: the client's and the tools', and those that
Kubernetes sets in every container beside a service named "ropeway"."""


class Origin(msgspec.Struct, frozen=True):
    """Where one value was set. `kind` is default, file, variable or flag; `name` is the file's path, or the
    name of the variable or flag."""

    kind: str
    name: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.kind == "default":
            return "default"
        return f"{self.name}, line {self.line}" if self.line else self.name


DEFAULT = Origin("default")


class Configuration(msgspec.Struct, frozen=True):
    """The settings in force, and the origin of each by its path."""

    settings: Settings
    origins: dict[str, Origin]

    def value(self, path: str) -> Any:
        section, name = path.split(".")
        return getattr(getattr(self.settings, section), name)

    def blame(self, path: str) -> str:
        """The setting's path and origin, to begin a sentence about it."""
        return f"{path} ({self.origins[path]})"

    def shown(self) -> dict[str, dict[str, Any]]:
        """Every value and origin by path, secrets masked: what `ropewayd config --json` prints."""
        shown: dict[str, dict[str, Any]] = {}
        for path, setting in catalogue().items():
            value = self.value(path)
            if setting.secret:
                value = dict.fromkeys(value, MASK)
            shown[path] = {"value": value, "origin": str(self.origins[path])}
        return shown

    def __str__(self) -> str:
        """The same as TOML, each origin a comment: what `ropewayd config` prints."""
        lines: list[str] = []
        shown = self.shown()
        texts = {path: f"{path.split('.')[1]} = {toml(each['value'])}" for path, each in shown.items()}
        width = max(len(text) for text in texts.values() if len(text) <= 60)
        for section in sections():
            lines += ["", f"[{section}]"]
            lines += [
                f"{texts[path]:{width}}  # {each['origin']}"
                for path, each in shown.items()
                if path.startswith(section + ".")
            ]
        return "\n".join(lines[1:])


def gather(
    flags: Mapping[str, str | Sequence[str]], environ: Mapping[str, str], file: str | None = None
) -> Configuration:
    """Read all sources. `flags` is by setting path; `file` overrides ROPEWAY_CONFIG. Raises Misconfigured."""
    found: dict[str, tuple[Any, Origin]] = {}
    file = file or environ.get("ROPEWAY_CONFIG") or None
    if file is not None:
        found.update(_from_file(Path(file)))
    found.update(_from_variables(environ))
    for path, given in flags.items():
        setting = catalogue()[path]
        assert setting.flag is not None
        origin = Origin("flag", setting.flag)
        found[path] = (_from_text(setting, given, origin), origin)

    values: dict[str, dict[str, Any]] = {section: {} for section in sections()}
    for path, (value, _) in found.items():
        setting = catalogue()[path]
        values[setting.section][setting.name] = value
    settings = msgspec.convert(values, Settings)
    origins = {path: found[path][1] if path in found else DEFAULT for path in catalogue()}
    configuration = Configuration(settings, origins)
    _check_together(configuration)
    return configuration


def _check_together(configuration: Configuration) -> None:
    """What no setting can tell on its own."""
    protocol, tls = configuration.settings.protocol, configuration.settings.tls
    if protocol.max_request_bytes < protocol.max_frame:
        raise Misconfigured(
            f"{configuration.blame('protocol.max_request_bytes')} is less than "
            f"{configuration.blame('protocol.max_frame')}: no full frame could be sent"
        )
    if bool(tls.certificate) != bool(tls.key):
        here, missing = ("certificate", "key") if tls.certificate else ("key", "certificate")
        raise Misconfigured(
            f"{configuration.blame('tls.' + here)} is set without tls.{missing}: TLS needs both"
        )


def _from_variables(environ: Mapping[str, str]) -> dict[str, tuple[Any, Origin]]:
    """An empty variable is as good as none: that is how people unset one in a compose or unit file."""
    by_variable = {setting.variable: setting for setting in catalogue().values()}
    found: dict[str, tuple[Any, Origin]] = {}
    for name in sorted(environ):
        text = environ[name]
        if not name.startswith("ROPEWAY_") or not text:
            continue
        setting = by_variable.get(name)
        if setting is not None:
            origin = Origin("variable", name)
            found[setting.path] = (_from_text(setting, text, origin), origin)
        elif not FOREIGN.fullmatch(name):
            raise Misconfigured(f"unknown variable {name}{meant(name, by_variable)}")
    return found


def _from_text(setting: Setting, text: str | Sequence[str], origin: Origin) -> Any:
    """A flag's or a variable's value. Commas stand between a list's items or a table's id:secret pairs."""
    kind = setting.kind
    value: Any = text
    if kind is tuple:
        value = [each.strip() for each in text.split(",")] if isinstance(text, str) else list(text)
    elif kind is dict:
        assert isinstance(text, str)
        pairs = [each.strip().partition(":") for each in text.split(",")]
        value = {key: secret for key, _, secret in pairs}
    elif kind in (int, float):
        assert isinstance(text, str)
        value = re.sub("(?<=[0-9])_(?=[0-9])", "", text)  # as in TOML, and as numbers are shown
    return _checked(setting, value, origin, strict=False)


def _checked(setting: Setting, value: Any, origin: Origin, *, strict: bool) -> Any:
    try:
        if isinstance(value, str):
            value = value.strip()
        checked = msgspec.convert(value, setting.annotation, strict=strict)
        if isinstance(checked, float) and checked != checked:  # noqa: PLR0124 - only NaN differs from itself
            raise msgspec.ValidationError("NaN")
    except msgspec.ValidationError as wrong:
        if setting.secret:
            detail = re.sub(
                r"\[\.\.\.\]", "an entry", str(wrong)
            )  # the message tells the rule, not the value
            raise Misconfigured(f"{setting.path} ({origin}) must be {setting.expected}: {detail}") from None
        shown = toml(value) if isinstance(value, str | int | float) else f"of type {type(value).__name__}"
        raise Misconfigured(f"{setting.path} ({origin}) must be {setting.expected}, and is {shown}") from None
    return checked


def _from_file(path: Path) -> dict[str, tuple[Any, Origin]]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as wrong:
        raise Misconfigured(f"cannot read the settings in {path}: {wrong.strerror}") from None
    try:
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
        text = content.decode()
        document = tomllib.loads(text)
    except ValueError as wrong:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise Misconfigured(f"{path} is not TOML: {wrong}") from None

    lines = dict(_lines(text))
    found: dict[str, tuple[Any, Origin]] = {}
    for section, table in document.items():
        origin = Origin("file", str(path), lines.get((section,), 0))
        if section not in sections():
            raise Misconfigured(
                f"unknown section [{section}] ({origin}){meant(section, sections(), section)}"
            )
        if not isinstance(table, dict):
            raise Misconfigured(f"[{section}] ({origin}) must be a table of settings")
        for name, value in table.items():
            origin = Origin("file", str(path), lines.get((section, name), 0))
            setting = catalogue().get(f"{section}.{name}")
            if setting is None:
                known = [each.name for each in catalogue().values() if each.section == section]
                raise Misconfigured(f"unknown setting {section}.{name} ({origin}){meant(name, known)}")
            found[setting.path] = (_checked(setting, value, origin, strict=True), origin)
    if "keys.secrets" in found:
        check_private(path, "it holds secrets")
    return found


def _lines(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """For each table and value of a good TOML document, the line where it is first set.

    tomllib tells no lines. But a statement (a header, or a key and its value, over however many lines) is a
    document of its own, and no beginning of a statement is. So: take lines until they parse.
    """
    seen: set[tuple[str, ...]] = set()
    header: tuple[str, ...] = ()
    statement, first = "", 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        first = first or number
        statement += line
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            header = max(_paths(parsed), key=len)
            keys = [header[: end + 1] for end in range(len(header))]
        else:
            keys = [header + key for key in _paths(parsed)]
        for key in keys:
            if key not in seen:
                seen.add(key)
                yield key, first
        statement, first = "", 0


def _paths(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _paths(value, (*above, key))


def meant(name: str, known: Mapping[str, Any] | Sequence[str], setting: str | None = None) -> str:
    """A hint, if what was written is close to something that exists."""
    from difflib import get_close_matches  # noqa: PLC0415 - only an error needs it

    if setting is not None:
        for each in catalogue().values():
            if each.name == setting:
                return f"; did you mean {each.name} in [{each.section}]?"
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def read_bounded(path: Path, blame: str, most: int) -> bytes:
    """What is in a file of at most so many bytes. `blame` begins a sentence on it. Raises Misconfigured."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as wrong:
        raise Misconfigured(f"{blame}: cannot read {path}: {wrong.strerror}") from None
    if len(content) > most:
        raise Misconfigured(f"{blame}: {path} is larger than {most} bytes")
    return content


def read_private(path: Path, blame: str, most: int, why: str, credentials_directory: str | None) -> bytes:
    """Likewise, of a file that others on this machine may not read, unless the service manager keeps it for
    this process alone: it sets the modes of what is in its directory."""
    if credentials_directory is None or path.parent != Path(credentials_directory):
        try:
            check_private(path, why)
        except OSError as wrong:
            raise Misconfigured(f"{blame}: cannot read {path}: {wrong.strerror}") from None
    return read_bounded(path, blame, most)


def check_private(path: Path, why: str) -> None:
    """Refuse a file that others on this machine may read."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise Misconfigured(f"{path} can be read by others (mode {mode:04o}), and {why}: chmod 600 {path}")
