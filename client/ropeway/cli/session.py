"""Where the daemon is and how the answer is wanted: the options that every command has.

They may stand before the command or after it. Access keys come from the environment alone: an argument can
be read by every user of the machine, and is kept in the shell's history.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

import ropeway
from ropeway.cli import interruption
from ropeway.cli.exits import USAGE, Exit, explain
from ropeway.cli.output import Output, say
from ropeway.cli.values import read_duration

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Session:
    """What was asked for."""

    url: str | None = None
    timeout: float = 30.0
    json: bool = False

    @property
    def output(self) -> Output:
        """Where the answers go."""
        return Output(json=self.json)

    def broker(self, timeout: float | None = None) -> ropeway.Broker:
        """The daemon, not yet connected. Raises Exit for a URL that makes no sense."""
        key, secret = os.environ.get("ROPEWAY_KEY") or None, os.environ.get("ROPEWAY_SECRET") or None
        try:
            return ropeway.connect(self.url, key=key, secret=secret, timeout=timeout or self.timeout)
        except OSError as error:  # the file of certificates that the URL names
            raise Exit(USAGE, f"the certificates that the URL names: {error.strerror}") from None
        except ValueError as error:
            hint = "As in ropeway://127.0.0.1:4565, ropeways://example.org or unix:/run/ropeway/socket."
            raise Exit(USAGE, str(error), hint) from None

    def perform(self, work: Callable[[ropeway.Broker], Awaitable[T]], queue: str | None = None) -> T:
        """Connect, do this work and close. Every error is raised as the Exit that it means."""
        broker = self.broker()

        async def connected() -> T:
            async with broker:
                return await work(broker)

        return perform(connected, queue)


def perform(work: Callable[[], Awaitable[T]], queue: str | None = None) -> T:
    """Do this on a loop. Every error is raised as the Exit that it means."""

    async def explained() -> T:
        try:
            return await work()
        except ropeway.RopewayError as error:
            raise explain(error, queue) from None

    return interruption.run(explained())


class _Remarks(logging.Handler):
    """What the library warns about (a lost connection, say), as remarks of this command."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def hear_warnings() -> None:
    """Have the library's warnings said as remarks."""
    logger = logging.getLogger("ropeway")
    if not logger.handlers:
        logger.addHandler(_Remarks(logging.WARNING))
        logger.propagate = False


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    session = ctx.ensure_object(Session)
    if value is None or value is False:
        return
    assert param.name is not None
    typed = ctx.get_parameter_source(param.name) is click.core.ParameterSource.COMMANDLINE
    if param.name == "url" and typed and _has_secret(value):
        raise click.UsageError(
            "a secret among the arguments can be read by every user of this machine;"
            " put it in ROPEWAY_KEY and ROPEWAY_SECRET, or the whole URL in ROPEWAY_URL"
        )
    setattr(session, param.name, value)


def _has_secret(url: str) -> bool:
    try:
        return urlsplit(url).password is not None
    except ValueError:
        return False  # whoever connects will say what is wrong with it


def _options(envvar: str | None) -> list[Callable[[Command], Command]]:
    common: dict[str, Any] = {"expose_value": False, "callback": _remember}
    return [
        click.option(
            "--url",
            envvar=envvar,
            metavar="URL",
            help="Where the daemon is (ROPEWAY_URL; ropeway://127.0.0.1:4565).",
            **common,
        ),
        click.option(
            "--timeout",
            type=read_duration,
            metavar="DURATION",
            help="How long the daemon may take for an answer (30s).",
            **common,
        ),
        click.option("--json", is_flag=True, help="Print JSON, an object a line.", **common),
    ]


def common_options(command: Command) -> Command:
    """The options of every command."""
    for option in reversed(_options(None)):
        command = option(command)
    return command


def root_options(command: Command) -> Command:
    """The same before the command, and from the environment."""
    for option in reversed(_options("ROPEWAY_URL")):
        command = option(command)
    return command
