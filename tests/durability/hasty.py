"""A daemon that answers before the commit, and whose disk is slow: what a test must find."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ropewayd.__main__ import main
from ropewayd.kernel.batch import Reply
from ropewayd.kernel.kernel import Kernel
from ropewayd.store.protocol import Claim, Slice
from ropewayd.store.sqlite import SqliteStore

append = SqliteStore.append


async def slowly(
    self: SqliteStore, claim: Claim, expect: int, batch: bytes, slice: Slice | None = None
) -> int:
    await asyncio.sleep(0.02)
    return await append(self, claim, expect, batch, slice)


def at_once(self: Kernel, reply: Reply, answer: Any) -> None:
    reply.deliver(reply.prepare(answer))


if __name__ == "__main__":
    SqliteStore.append = slowly  # type: ignore[method-assign]
    Kernel._answer = at_once  # type: ignore[method-assign]
    sys.exit(main())
