"""Completion by Tab: the script for a shell, and the names of queues.

A name is asked of the daemon while somebody waits at a prompt: quickly or not at all, and never a word about
what went wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

import click
from click.shell_completion import get_completion_class

import ropeway
from ropeway.cli.exits import Exit
from ropeway.cli.session import Session
from ropeway.wire import Action

PATIENCE = 1.0
"""Seconds that Tab may take."""
MOST = 200
"""Names that are shown."""
VARIABLE = "_ROPEWAY_COMPLETE"


def queue_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The queues whose names begin so; none if the daemon does not say at once."""
    with contextlib.suppress(Exit, ropeway.RopewayError, OSError, TimeoutError):
        return asyncio.run(_ask(ctx.ensure_object(Session), incomplete))
    return []


async def _ask(session: Session, prefix: str) -> list[str]:
    async with asyncio.timeout(PATIENCE), session.broker(PATIENCE) as broker:
        # One page, where Broker.list_queues would fetch them all.
        answer = await broker.link.call(Action.ListQueues, {"prefix": prefix, "limit": MOST})
    match answer:
        case {"queues": tuple(names)}:
            return [str(name) for name in names]
    return []


queue_argument = click.argument("queue", metavar="QUEUE", shell_complete=queue_names)

WHERE = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/ropeway.fish",
}


@click.command(
    short_help="Print the script for completion by Tab.",
    epilog="""\b
Examples:
  eval "$(ropeway completion bash)"                       try it in this shell
  ropeway completion bash >> ~/.bashrc                    for every new bash
  ropeway completion zsh >> ~/.zshrc                      zsh, after compinit
  ropeway completion fish > ~/.config/fish/completions/ropeway.fish
""",
)
@click.argument("shell", type=click.Choice(tuple(WHERE)), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the script that completes ropeway's commands, options and queues.

    SHELL is the one that you use, unless you say.
    """
    shell = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - a name, not a path
    script = get_completion_class(shell) if shell in WHERE else None
    if script is None:
        raise click.UsageError(f"say which shell: {', '.join(WHERE)}", ctx)
    source = script(ctx.find_root().command, {}, "ropeway", VARIABLE).source()
    ctx.ensure_object(Session).output.line(source)
