"""The command itself: its parts, and how every end of it is told.

Nothing that a user can cause ends in a traceback.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

import click

import ropeway
from ropeway.cli.exits import DONE, UNREAD, USAGE, Exit
from ropeway.cli.names import VARIABLE
from ropeway.cli.output import say
from ropeway.cli.session import hear_warnings, root_options

NO_ARGUMENTS: type[Exception] = getattr(click.exceptions, "NoArgsIsHelpError", StopIteration)
"""The help, as an error. click 8.1 has no such class: it prints the help by itself."""


PARTS = ("completion", "export", "import", "ping", "queue", "receive", "send", "store", "topic")
"""The commands, each in the module of its name."""
_RENAMED = {"import": ("importing", "import_")}
"""Module and name of a command that Python keeps the word of."""


class Parts(click.Group):
    """Imports a command when it is asked for: a shell's loop may run us often."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(PARTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in PARTS:
            return None
        module, name = _RENAMED.get(cmd_name, (cmd_name, cmd_name))
        command = getattr(importlib.import_module(f"ropeway.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=Parts,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  ropeway queue create jobs
  ropeway send jobs "resize cat.jpg"
  ropeway receive jobs --delete
  ropeway queue list
\b
Environment:
  ROPEWAY_URL                  ropeway://HOST[:PORT], ropeways:// for TLS, or unix:PATH
  ROPEWAY_KEY, ROPEWAY_SECRET  an access key, where the daemon asks for one
  NO_COLOR                     no colour
\b
Exit codes:
  0 done   1 refused   2 wrong usage   3 nothing received   4 cannot connect, or no answer
  5 a file or the output cannot be read or written   130 interrupted   141 output not read
""",
)
@root_options
@click.version_option(ropeway.__version__, prog_name="ropeway", message="%(prog)s %(version)s")
def root() -> None:
    """Durable message queues, from the command line.

    Durations are seconds, or have a unit: 500ms, 30s, 5m, 12h, 4d. Sizes are bytes, or 256KiB, 1MiB. On a
    terminal you see tables; in a pipe, tab-separated lines, or JSON lines with --json.
    """
    hear_warnings()


def run(arguments: Sequence[str]) -> int:
    """Run the command; gives the exit code, which is 128 + its number where a signal ended it."""
    try:
        code = _run(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # `ropeway --help | head -1`
        code = UNREAD
    except Exit as end:
        if end.sentence:
            say(end.sentence, end.hint, error=True)
        code = end.code
    if code == UNREAD:
        # What Python itself may still hold has no reader either.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(arguments: list[str]) -> int:
    # Not click's main(): that takes a reader who has gone for an error.
    instruction = os.environ.get(VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete  # noqa: PLC0415 - for Tab alone

        return shell_complete(root, {}, "ropeway", VARIABLE, instruction)
    try:
        with root.make_context("ropeway", arguments) as ctx:
            root.invoke(ctx)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        if isinstance(error, NO_ARGUMENTS):
            click.echo(error.format_message())
            return USAGE if arguments else DONE
        path = error.ctx.command_path if error.ctx is not None else "ropeway"
        sentence = error.format_message()
        raise Exit(USAGE, sentence[:1].lower() + sentence[1:], f"{path} --help says more.") from None
    except click.ClickException as error:
        raise Exit(USAGE, error.format_message()) from None
    return DONE
