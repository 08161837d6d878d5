"""`ropeway store`: for whoever runs the daemon. Its store in figures, and a copy of it while it is served."""

from __future__ import annotations

from pathlib import Path

import click

import ropeway
from ropeway.cli.exits import REFUSED, Exit
from ropeway.cli.output import Json
from ropeway.cli.session import Session, common_options

WRITTEN = ("batch_bytes", "record_bytes", "log_bytes", "folded_bytes")
"""What was written since the daemon started; all else is what is there."""


@click.group()
def store() -> None:
    """Look at the daemon's store, and copy it while it is served."""


@store.command(
    epilog="""\b
Examples:
  ropeway store show
  ropeway store show --json | jq .messages_on_disk
\b
The write amplification is what was written to the disk (to the log, and to the database) for each
byte of what was journaled. `ropewayd store show DIR` looks at a store that is not served.
"""
)
@common_options
@click.pass_obj
def show(session: Session) -> None:
    """Show the store in figures: sizes, the journal, messages in memory and on disk, what was written."""
    found = session.perform(lambda broker: broker.show_store())
    plain: dict[str, Json] = {**found, "write_amplification": amplification(found)}
    shown = {_name(each): _shown(each, value) for each, value in found.items() if each not in WRITTEN}
    written = found.get("log_bytes", 0) + found.get("folded_bytes", 0)
    shown["written"] = f"{_bytes(written)} for {_bytes(found.get('batch_bytes', 0))} of journal"
    shown["write amplification"] = str(plain["write_amplification"] or "nothing was written yet")
    session.output.pairs(shown, plain)


def amplification(found: dict[str, int]) -> float | None:
    """Bytes written to the disk for a byte of journal; None before anything was."""
    journaled = found.get("batch_bytes", 0)
    written = found.get("log_bytes", 0) + found.get("folded_bytes", 0)
    return round(written / journaled, 2) if journaled else None


def _name(figure: str) -> str:
    return figure.removesuffix("_bytes").replace("_", " ")


def _shown(figure: str, value: int) -> str:
    return _bytes(value) if figure.endswith("_bytes") else f"{value:,}"


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


@store.command(
    epilog="""\b
Examples:
  ropeway store backup /backup/ropeway-monday
  ropeway store backup /backup/$(date +%F) && ropewayd store check /backup/$(date +%F)
\b
The daemon makes the directory, mode 0700, and must be allowed to. To restore, stop the daemon, move
its data directory away, put the backup in its place, owned by the daemon's user, and start it.
"""
)
@click.argument("target", metavar="TARGET")
@common_options
@click.pass_obj
def backup(session: Session, target: str) -> None:
    """Copy the store into the new directory TARGET, while it is served.

    TARGET is an absolute path on the daemon's machine, which must be this one. The copy holds all that was
    acknowledged before this command was given, and what else was by one moment before it ends.
    """
    if not Path(target).is_absolute():
        raise Exit(REFUSED, f"{target} is not an absolute path.", "The daemon has a directory of its own.")

    async def work(broker: ropeway.Broker) -> dict[str, int]:
        return await broker.backup_store(target)

    copied = session.perform(work)
    drawn = (
        f"Copied to {target}: {copied['records']:,} records and {copied['batches']:,} rows of journal,"
        f" {_bytes(copied['bytes'])}, up to lsn {copied['last_lsn']:,}."
    )
    session.output.done(drawn, (target, str(copied["last_lsn"])), target=target, **copied)
