"""Telephone numbers for plain code: the same names, each call waiting for its result."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Literal, Unpack

from ropeway import phones as asynchronous
from ropeway.message import Attributes, MessageId
from ropeway.paging import every_now
from ropeway.phones import Language, SmsSettings
from ropeway.portal import call


class Phones:
    """As `ropeway.Phones`."""

    __slots__ = ("_inner", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: asynchronous.Phones) -> None:
        self._loop = loop
        self._inner = inner

    def send(
        self,
        number: str,
        body: str,
        *,
        attributes: Attributes | None = None,
        structure: Literal["json"] | None = None,
    ) -> MessageId:
        """As `ropeway.Phones.send`."""
        return call(
            self._loop,
            lambda: self._inner.send(number, body, attributes=attributes, structure=structure),
        )

    def attributes(self) -> dict[str, Any]:
        """As `ropeway.Phones.attributes`."""
        return call(self._loop, self._inner.attributes)

    def set(self, **settings: Unpack[SmsSettings]) -> None:
        """As `ropeway.Phones.set`."""
        call(self._loop, lambda: self._inner.set(**settings))

    def is_opted_out(self, number: str) -> bool:
        """As `ropeway.Phones.is_opted_out`."""
        return call(self._loop, lambda: self._inner.is_opted_out(number))

    def opted_out(self) -> Iterator[str]:
        """As `ropeway.Phones.opted_out`, as an iterator."""
        return every_now(self.page_opted_out)

    def page_opted_out(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[str], str | None]:
        """As `ropeway.Phones.page_opted_out`."""
        return call(self._loop, lambda: self._inner.page_opted_out(after, limit))

    def opt_in(self, number: str) -> None:
        """As `ropeway.Phones.opt_in`."""
        call(self._loop, lambda: self._inner.opt_in(number))

    def add_to_sandbox(self, number: str, *, language: Language | None = None) -> None:
        """As `ropeway.Phones.add_to_sandbox`."""
        call(self._loop, lambda: self._inner.add_to_sandbox(number, language=language))

    def verify(self, number: str, password: str) -> None:
        """As `ropeway.Phones.verify`."""
        call(self._loop, lambda: self._inner.verify(number, password))

    def remove_from_sandbox(self, number: str) -> None:
        """As `ropeway.Phones.remove_from_sandbox`."""
        call(self._loop, lambda: self._inner.remove_from_sandbox(number))

    def sandbox(self) -> Iterator[tuple[str, bool]]:
        """As `ropeway.Phones.sandbox`, as an iterator."""
        return every_now(self.page_sandbox)

    def page_sandbox(
        self, after: str | None = None, limit: int | None = None
    ) -> tuple[list[tuple[str, bool]], str | None]:
        """As `ropeway.Phones.page_sandbox`."""
        return call(self._loop, lambda: self._inner.page_sandbox(after, limit))
