"""The subcommands `ropewayd store check`, `ropewayd store show` and `ropewayd doctor`.

What was found goes to standard output, as text or as one JSON object. Why it ends with another code than 0
goes to standard error, in one line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from ropewayd import __version__
from ropewayd.ending import exit_for
from ropewayd.exits import CLEAN, CORRUPT, Exit, Misconfigured
from ropewayd.inspection import layout
from ropewayd.inspection.check import STATES, Checked, JournalCount, SpaceCount, check
from ropewayd.inspection.doctor import Diagnosis, examine
from ropewayd.inspection.opening import opened
from ropewayd.inspection.progress import Progress
from ropewayd.inspection.show import Shown, show
from ropewayd.queues.actions import QueueAttributes
from ropewayd.sources import gather
from ropewayd.store.protocol import StoreError

UNFIT = 1
"""The exit code of `doctor` where something failed."""

EXAMPLES = """\
examples:
  ropewayd store check /var/lib/ropeway            look at everything; the daemon must be stopped
  ropewayd store check /backup/monday --json       the same, for a program
  ropewayd store show /var/lib/ropeway             sizes, queues, and how they stand
  ropewayd doctor /var/lib/ropeway                 measure the disk's fsync, look at limits and versions

exit codes: 0 fine, 65 damaged (each damage on a line), 74 the disk cannot be read, 78 no store or in use;
doctor: 1 where something failed
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misconfigured(f"{message}; see {self.prog} --help")


def run(arguments: Sequence[str]) -> int:
    """Run `store ...` or `doctor ...`; gives the exit code. Raises Exit."""
    given = _parser().parse_args(arguments)
    if given.command == "doctor":
        return _doctor(given)
    path, progress = Path(given.directory), Progress(sys.stderr)
    purpose = f"ropewayd/{__version__} store {given.look}"
    try:
        with opened(path, purpose) as store:
            found = check(store, progress) if given.look == "check" else show(store, progress)
    except (StoreError, OSError) as error:
        progress.clear()
        if given.json:
            damage = str(error)
            _print([json.dumps({"directory": given.directory, "ok": False, "error": damage}, indent=2)])
        raise exit_for(error) from error
    progress.clear()
    if given.json:
        _print([json.dumps(msgspec.to_builtins(found), indent=2)])
    else:
        _print(_checked(found) if isinstance(found, Checked) else _shown(found))
    if isinstance(found, Checked) and not found.ok:
        more = f" and {found.damages - 1} more" if found.damages > 1 else ""
        raise Exit(CORRUPT, layout.printable(f"{path} is damaged: {found.damage[0]}{more}"))
    return CLEAN


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ropewayd",
        description="Look at a store, or at the machine, without a daemon.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="store | doctor", required=True)
    store = commands.add_parser("store", help="look at a store that no daemon has open")
    looks = store.add_subparsers(dest="look", metavar="check | show", required=True)
    for name, said in (
        ("check", "look at every checksum, every reference and every count; changes nothing"),
        ("show", "sizes, versions, queues and their counts; changes nothing"),
    ):
        look = looks.add_parser(
            name, help=said, description=said[0].upper() + said[1:] + ".", allow_abbrev=False
        )
        look.add_argument("directory", metavar="DIR", help="the data directory")
        look.add_argument("--json", action="store_true", help="print one JSON object")
    said = "measure the disk's fsync, and look at space, limits, modes and versions"
    doctor = commands.add_parser(
        "doctor", help=said, description=said[0].upper() + said[1:] + ".", allow_abbrev=False
    )
    doctor.add_argument("directory", metavar="DIR", nargs="?", help="the data directory (daemon.data_dir)")
    doctor.add_argument("--config", metavar="FILE", help="file of settings, TOML (variable ROPEWAY_CONFIG)")
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _doctor(given: argparse.Namespace) -> int:
    settings = gather({}, os.environ, given.config).settings
    found = examine(Path(given.directory or settings.daemon.data_dir), settings)
    if given.json:
        _print([json.dumps(msgspec.to_builtins(found), indent=2)])
    else:
        _print(_diagnosed(found))
    return CLEAN if found.ok else UNFIT


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(line + "\n" for line in lines))
    sys.stdout.flush()


# The texts


def _diagnosed(found: Diagnosis) -> list[str]:
    width = max(len(line.what) for line in found.lines)
    return [f"{line.verdict:<4}  {line.what:<{width}}  {layout.printable(line.says)}" for line in found.lines]


def _closed(clean: bool) -> str:
    return "closed in order" if clean else "not closed: the next start recovers"


def _journal(count: JournalCount) -> str:
    if not count.rows:
        return f"nothing to replay, the last lsn is {count.last:,}"
    return f"lsn {count.first:,} to {count.last:,}, {layout.size(count.bytes)} to replay"


def _spaces(spaces: Iterable[SpaceCount]) -> list[str]:
    rows = [(each.name, each.number, each.records, layout.size(each.bytes), each.dropped) for each in spaces]
    return ["", *layout.table(("records of", "space", "number", "bytes", "to reclaim"), rows, "")]


def _checked(found: Checked) -> list[str]:
    lines = layout.facts(
        [
            ("store", f"{found.directory}, format {found.format}, {_closed(found.clean)}"),
            ("log", f"{found.log_frames:,} frames of whole commits"),
            ("journal", _journal(found.journal)),
        ]
    )
    lines += _spaces(found.spaces)
    if found.queues:
        head = ("queue", "number", "visible", "in flight", "delayed", "in records", "in journal")
        rows: list[Sequence[Any]] = [
            (
                each.name,
                each.number,
                each.visible,
                each.in_flight,
                each.delayed,
                each.in_records,
                each.in_journal,
            )
            for each in found.queues
        ]
        lines += ["", *layout.table(head, rows, "")]
    lines.append("")
    lines += [f"damaged: {layout.printable(each)}" for each in found.damage]
    if found.damages > len(found.damage):
        lines.append(f"damaged: and {found.damages - len(found.damage):,} more")
    return [*lines, "nothing is damaged"] if found.ok else lines


def _shown(found: Shown) -> list[str]:
    files = found.files
    lines = layout.facts(
        [
            ("store", found.directory),
            ("format", str(found.format)),
            ("epoch", f"{found.epoch:,}, last opened by {found.owner}"),
            ("state", _closed(found.clean)),
            ("journal", _journal(found.journal)),
            (
                "database",
                f"{layout.size(files.database)}, {layout.size(files.unused)} of it to be used again",
            ),
            ("log", f"{layout.size(files.log)}, {found.log_frames:,} frames of whole commits"),
            ("reserve", layout.size(files.reserve)),
            ("disk", f"{layout.size(files.disk_free)} free"),
        ]
    )
    lines += _spaces(found.spaces)
    if found.queues:
        head = ("queue", "number", "visible", "in flight", "delayed")
        rows = [(each.name, each.number, *(each.attributes[of] for of in STATES)) for each in found.queues]
        lines += ["", *layout.table(head, rows, "")]
        lines += ["", *_attributes(found)]
    return lines


_COMMON = ("visibility_timeout", "delay", "retention_period", "receive_wait_time", "maximum_message_size")


def _attributes(found: Shown) -> list[str]:
    """What is set on each queue, with the units that the protocol and `--json` give it: what every queue has,
    and below what few have."""
    rows = [(each.name, *(each.attributes[name] for name in _COMMON)) for each in found.queues]
    heads = [f"{name} ({'bytes' if name.endswith('_size') else 'ms'})" for name in _COMMON]
    lines = layout.table(("queue", *heads), rows, "")
    told = {"arn", "created_at", "modified_at", *STATES, *_COMMON}
    by_default = msgspec.to_builtins(QueueAttributes())
    rare = [
        (each.name, name, value if type(value) in (int, str) else json.dumps(value))
        for each in found.queues
        for name, value in each.attributes.items()
        if name not in told and value != by_default.get(name)
    ]
    return [*lines, "", *layout.table(("queue", "also has", ""), rare, "")] if rare else lines
