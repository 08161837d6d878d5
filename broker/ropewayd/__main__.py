"""The command `ropewayd`: serve, say what is configured, or look at a store or the machine.

Only the standard library is imported at the top: without its extra the daemon must still be able to say what
is missing. The rest is imported when the command line has been read.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from ropewayd import __version__
from ropewayd.exits import CLEAN, CONFIGURATION, Exit, Misconfigured

if TYPE_CHECKING:
    from ropewayd.settings import Setting

OWN_FLAGS = ("--help", "--version", "--config", "--json", "--example")
LOOKING = ("store", "doctor")
"""Commands with a command line of their own: inspection/command.py."""
KEY = "key"
"""Another one: key_command.py."""
NEEDED = ("uvloop", "msgpack", "msgspec", "aiosqlite", "structlog", "httptools", "aiohttp")

EXAMPLES = """\
examples:
  ropewayd                                             serve 127.0.0.1:4565, and AWS's SDKs on 127.0.0.1:4566;
                                                       keep everything in ./data
  ropewayd --data-dir /srv/ropeway --listen 127.0.0.1:4565 --listen unix:/run/ropeway/socket
  ropewayd --listen 0.0.0.0:4565 --keys-file keys.toml --tls-certificate cert.pem --tls-key key.pem
  ropewayd --config /etc/ropeway/ropeway.toml
  ropewayd config                                      print the settings in force and where each was set
  ropewayd config --example > ropeway.toml             begin a file of settings
  ropewayd store check DIR                             look for damage in a store that is not served
  ropewayd store show DIR                              what is in it
  ropewayd key create --file keys.toml                 make an access key
  ropewayd doctor [DIR]                                is the disk honest, and the machine fit?

Every setting can be given as a flag, as a variable (ROPEWAY_LISTEN for --listen, with commas between several
values), or in a file. Flags come first, then variables, then the file. Durations are seconds, sizes bytes.

exit codes: 0 clean, 1 doctor found a fault, 65 damaged store, 70 internal error, 74 disk, 78 configuration
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misconfigured(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code. `arguments` are those of the process unless given."""
    # Until the loop takes signals over, an interrupt ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        hint = "pip install '.[broker]' in a clone of Ropeway"
        return _said(Exit(CONFIGURATION, f"{', '.join(missing)} missing: {hint}"))
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except Exit as stop:
        return _said(stop)
    except BrokenPipeError:  # `ropewayd config | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN


def _said(stop: Exit) -> int:
    print(f"ropewayd: {stop.sentence}", file=sys.stderr)  # noqa: T201 - there is no log yet
    return stop.code


def _run(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in LOOKING:
        from ropewayd.inspection.command import run  # noqa: PLC0415 - see the module

        return run(arguments)
    if arguments and arguments[0] == KEY:
        from ropewayd.key_command import run  # noqa: PLC0415 - see the module

        return run(arguments)
    from ropewayd.settings import catalogue  # noqa: PLC0415 - see the module
    from ropewayd.sources import gather  # noqa: PLC0415 - see the module

    settings = catalogue().values()
    _check_flags(arguments, list(settings))
    given = vars(_parser(list(settings)).parse_args(arguments))
    if given["command"] in (*LOOKING, KEY):
        raise Misconfigured(f"{given['command']} comes first; see ropewayd {given['command']} --help")
    if given["command"] != "config" and (given["json"] or given["example"]):
        raise Misconfigured("--json and --example go with the command config; see ropewayd --help")
    if given["example"]:
        return _print_example()
    flags = {each.path: given[each.path] for each in settings if given.get(each.path) is not None}
    configuration = gather(flags, os.environ, given["config"])
    if given["command"] == "config":
        import json  # noqa: PLC0415 - only here

        text = json.dumps(configuration.shown(), indent=2) if given["json"] else str(configuration)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        return CLEAN
    from ropewayd.daemon import serve  # noqa: PLC0415 - see the module

    return serve(configuration)


def _check_flags(arguments: Sequence[str], settings: Sequence[Setting]) -> None:
    """Name an unknown flag. argparse would take its value for a command, and complain of that."""
    known = [*OWN_FLAGS, *(each.flag for each in settings if each.flag)]
    for word in arguments:
        flag = word.partition("=")[0]
        if flag.startswith("--") and flag not in known:
            from ropewayd.sources import meant  # noqa: PLC0415 - see the module

            raise Misconfigured(f"unknown flag {flag}{meant(flag, known)}; see ropewayd --help")


def _print_example() -> int:
    from ropewayd.settings import example  # noqa: PLC0415 - see the module

    sys.stdout.write(example())
    sys.stdout.flush()
    return CLEAN


def _parser(settings: Sequence[Setting]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ropewayd",
        usage="ropewayd [serve | config] [--config FILE] [--SETTING VALUE ...]\n"
        "       ropewayd store check|show DIR [--json]\n"
        "       ropewayd doctor [DIR] [--config FILE] [--json]\n"
        "       ropewayd key create|list|rotate|disable|enable|delete [ID] [--file FILE]",
        description="Durable message queues from one daemon.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "config", *LOOKING, KEY),
        default="serve",
        help="serve (what happens without a command), config: print the settings in force and where each was"
        " set, store: look at a store, doctor: look at the machine, key: access keys",
    )
    parser.add_argument("--version", action="version", version=f"ropewayd {__version__}")
    parser.add_argument("--config", metavar="FILE", help="file of settings, TOML (variable ROPEWAY_CONFIG)")
    parser.add_argument("--json", action="store_true", help="with config: print JSON")
    parser.add_argument(
        "--example", action="store_true", help="with config: print a file of all settings with their defaults"
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for each in settings:
        if each.section not in groups:
            groups[each.section] = parser.add_argument_group(f"[{each.section}]")
        if each.flag is None:
            continue
        groups[each.section].add_argument(
            each.flag,
            dest=each.path,
            action="append" if each.kind is tuple else "store",
            metavar=each.metavar,
            help=_help(each),
        )
    return parser


def _help(setting: Setting) -> str:
    from ropewayd.settings import shown  # noqa: PLC0415 - see the module

    repeatable = " May be given several times." if setting.kind is tuple else ""
    default = f" ({shown(setting.default)})" if setting.default else ""
    return f"{setting.doc}{repeatable}{default}".replace("%", "%%")


if __name__ == "__main__":
    sys.exit(main())
