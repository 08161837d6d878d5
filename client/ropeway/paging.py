"""Lists that the daemon tells in pages: one page of one, and all of it as it is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

from ropeway.errors import ProtocolError
from ropeway.link import Link
from ropeway.wire import Action

T = TypeVar("T")

Page = tuple[list[T], str | None]
"""Some of a list, and what to go on after; None at its end."""


async def page(
    link: Link, action: Action, listed: str, given: Mapping[str, object], *, called: str = ""
) -> tuple[tuple[Any, ...], str | None]:
    """The elements of one page and what to go on after. `listed` is their name in the answer, and the list's
    own where it is not `called` otherwise; what is given as None is not said.

    Raises ProtocolError for an answer of another shape, and for one that would begin again.
    """
    params: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    match await link.call(action, params):
        case {"next": None | str() as following, **rest}:
            found = rest.get(listed)
            if isinstance(found, tuple):
                if following is not None and following == given.get("after"):
                    raise ProtocolError(f"the daemon's list of {called or listed} does not advance")
                return found, following
    raise ProtocolError(f"the daemon's list of {called or listed} has the wrong shape")


async def every(fetch: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """All elements, their pages fetched as they are needed."""
    after: str | None = None
    while True:
        found, after = await fetch(after)
        for each in found:
            yield each
        if after is None:
            return


def every_now(fetch: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Likewise, for plain code."""
    after: str | None = None
    while True:
        found, after = fetch(after)
        yield from found
        if after is None:
            return
