"""Publishes whose messages are signed before they are decided.

A signature takes longer than all else of a publish, and nothing is computed in a decision that takes long. So
the id and the time of a message are chosen here, what the envelope will say is signed on a thread, and the
publish is asked for with all of it. A message is signed once, for all queues, and only where one is to get it
in an envelope. Publishes to one standard topic can overtake each other here, as such topics allow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from structlog.typing import FilteringBoundLogger

from ropewayd.deliveries.signing import Signer
from ropewayd.kernel.batch import NOBODY, Reply
from ropewayd.kernel.kernel import Kernel
from ropewayd.topics.actions import PublishMessage, PublishSigned, PublishTogether, Signature
from ropewayd.topics.publishing import Publishing
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import ServiceUnavailable

log: FilteringBoundLogger = structlog.get_logger()
_PUBLISHES: Final = (PublishMessage, PublishTogether)


class SignedPublishing:
    """See the module. `address`: what URLs to the daemon begin with, empty where there is none."""

    def __init__(
        self, kernel: Kernel, publishing: Publishing, signer: Signer, address: Callable[[], str]
    ) -> None:
        self._kernel = kernel
        self._publishing = publishing
        self._signer = signer
        self._address = address
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, action: Action, reply: Reply = NOBODY) -> None:
        """As the kernel's."""
        if type(action) in _PUBLISHES:
            assert isinstance(action, PublishMessage)
            at = self._kernel.clock.now()
            version, texts = self._publishing.to_sign(action, at)
            if texts:
                task = asyncio.get_running_loop().create_task(self._sign(action, reply, at, version, texts))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return
        self._kernel.submit(action, reply)

    async def _sign(
        self,
        action: PublishMessage,
        reply: Reply,
        at: int,
        version: str,
        texts: dict[int, tuple[bytes, dict[str, str]]],
    ) -> None:
        url = self._address()
        try:
            if url:
                url += await self._signer.path()
            signatures = {
                index: Signature(id_, at, version, await self._signer.sign(told, version), url)
                for index, (id_, told) in texts.items()
            }
        except (OSError, ValueError) as error:
            log.error("a publish could not be signed", error=type(error).__name__, reason=str(error))
            refusal = ServiceUnavailable("The message could not be signed; the log says why.")
            reply.deliver(reply.prepare(refusal))
            return
        self._kernel.submit(
            PublishSigned(
                topic=action.topic,
                entries=action.entries,
                signatures=signatures,
                together=type(action) is PublishTogether,
            ),
            reply,
        )

    async def close(self) -> None:
        """Let what is being signed be asked for."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))
