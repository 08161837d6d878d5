"""`ropeway completion`: the script that makes a shell complete our commands, options and queues."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class

from ropeway.cli.names import VARIABLE
from ropeway.cli.session import Session

SHELLS = ("bash", "zsh", "fish")


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
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the script that completes ropeway's commands, options and queues.

    SHELL is the one that you use, unless you say.
    """
    shell = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - a name, not a path
    script = get_completion_class(shell) if shell in SHELLS else None
    if script is None:
        raise click.UsageError(f"say which shell: {', '.join(SHELLS)}", ctx)
    source = script(ctx.find_root().command, {}, "ropeway", VARIABLE).source()
    ctx.ensure_object(Session).output.line(source)
