"""Lists that come in pages: all of it in order, and no list that goes on for ever."""

from typing import Any, cast

import pytest

from ropeway.errors import ProtocolError
from ropeway.link import Link
from ropeway.paging import Page, every, every_now, page
from ropeway.wire import Action

PAGES: dict[str | None, Page[int]] = {None: ([1, 2], "b"), "b": ([], "c"), "c": ([3], None)}


class Says:
    """A link to a daemon that has one answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[dict[str, object]] = []

    async def call(self, action: Action, params: dict[str, object]) -> object:
        self.asked.append(params)
        return self.answer


async def asked(says: Says, **given: object) -> tuple[tuple[Any, ...], str | None]:
    return await page(cast("Link", says), Action.ListQueues, "queues", given)


async def test_all_pages_are_fetched_in_order_an_empty_one_too() -> None:
    async def fetch(after: str | None) -> Page[int]:
        return PAGES[after]

    assert [each async for each in every(fetch)] == [1, 2, 3]
    assert list(every_now(PAGES.__getitem__)) == [1, 2, 3]


async def test_what_is_not_given_is_not_said() -> None:
    says = Says({"queues": ("a",), "next": "a", "more": 1})
    assert await asked(says, after=None, limit=5) == (("a",), "a")
    assert says.asked == [{"limit": 5}]


async def test_a_list_that_would_begin_again_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="list of queues does not advance"):
        await asked(Says({"queues": ("a",), "next": "a"}), after="a")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        ("a",),
        {"queues": ("a",)},
        {"next": None},
        {"queues": "a", "next": None},
        {"queues": (), "next": 1},
    ],
)
async def test_another_shape_is_an_error(answer: object) -> None:
    with pytest.raises(ProtocolError, match="list of queues has the wrong shape"):
        await asked(Says(answer))
