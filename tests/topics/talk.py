"""The calls that nearly every test of topics makes."""

from __future__ import annotations

import json
from typing import Any

from ropewayd.topics import actions as t
from ropewayd.vocabulary.errors import RopewayError
from tests.house import House

QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:"


async def topic(house: House, name: str = "news", **attributes: Any) -> str:
    """Make a topic; its ARN."""
    answer = await house.call(t.CreateTopic(topic=name, attributes=attributes))
    assert not isinstance(answer, RopewayError), answer
    return str(answer["arn"])


async def subscribe(house: House, queue: str, name: str = "news", **attributes: Any) -> str:
    """Subscribe a queue; the subscription's ARN. A filter policy can be given as an object."""
    answer = await house.call(t.Subscribe(topic=name, endpoint=queue, attributes=attributes))
    assert not isinstance(answer, RopewayError), answer
    return str(answer["subscription"])


async def publish(house: House, *bodies: Any, name: str = "news", **each: Any) -> list[Any]:
    """Publish messages; the answer for each."""
    entries = [t.PublishEntry(body, **each) for body in bodies]
    answer: list[Any] = await house.call(t.PublishMessage(topic=name, entries=entries))
    assert isinstance(answer, list), answer
    return answer


async def messages(house: House, queue: str) -> list[str]:
    """What envelopes in a queue hold."""
    return [json.loads(body)["Message"] for body in await bodies(house, queue)]


async def bodies(house: House, queue: str) -> list[Any]:
    """All that a queue holds: a receive may give a part of it."""
    found: list[Any] = []
    while more := await house.bodies(queue=queue):
        found += more
    return found
