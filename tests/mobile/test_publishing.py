"""The hidden queue of an application: made for the first message, found after a restart, and gone with it."""

import json
from typing import Any

from ropewayd.kernel.service import Decision, SliceBuilder
from ropewayd.mobile import actions as a
from ropewayd.mobile.service import Mobile
from ropewayd.queues.events import MessagesSent, QueueCreated, QueueDeleted
from ropewayd.vocabulary.action import Action
from tests.house import START, House


class Service:
    """The mobile service by itself: the queues' events are only looked at."""

    def __init__(self, house: House) -> None:
        self.mobile = Mobile(house.queues.fanning)
        self.lsn = 0
        self.touches: list[Any] = []

    def ask(self, action: Action) -> tuple[Any, tuple[Any, ...]]:
        outcome = self.mobile.deciders()[type(action)](action, START)
        assert isinstance(outcome, Decision)
        self.lsn += 1
        for event in outcome.events:
            if (apply := self.mobile.appliers().get(type(event))) is not None:
                self.touches.append(apply(event, self.lsn))
        return outcome.answer, tuple(outcome.events)

    def device(self) -> str:
        given = {"PlatformCredential": "secret"}
        made = a.CreatePlatformApplication(name="app", platform="GCM", attributes=given)
        application = self.ask(made)[0]["application"]
        return str(self.ask(a.CreatePlatformEndpoint(application=application, token="t"))[0]["endpoint"])

    def spilled(self) -> SliceBuilder:
        into = SliceBuilder(self.lsn)
        into.part = self.lsn
        for touch in self.touches:
            assert self.mobile.spill(touch, into) is None
        return into


async def test_the_first_message_makes_the_queue_that_a_restart_finds_again(house: House) -> None:
    service = Service(house)
    opened: list[Any] = []
    service.mobile.opened = lambda *told: opened.append(told)
    arn = service.device()
    words = json.dumps({"default": "d", "GCM": "for Google"})
    answer, events = service.ask(a.PublishToEndpoint(target=arn, body=words, structure="json"))
    queue, _, sent = events
    assert isinstance(queue, QueueCreated)
    assert isinstance(sent, MessagesSent)
    assert len(answer["id"]) == 16
    assert '"Message":"for Google"' in sent.bodies[0]
    assert service.mobile.lines() == opened
    again = Service(house)
    again.mobile.load(service.spilled().puts)
    assert again.mobile.lines() == opened
    assert again.mobile.snapshot()["applications"] == service.mobile.snapshot()["applications"]


async def test_the_queue_goes_with_the_application(house: House) -> None:
    service = Service(house)
    arn = service.device()
    _, (queue, *_) = service.ask(a.PublishToEndpoint(target=arn, body="hello"))
    application = arn.replace(":endpoint/", ":app/").rpartition("/")[0]
    _, events = service.ask(a.DeletePlatformApplication(application=application))
    assert events[1:] == (QueueDeleted(queue.number, START),)
    assert service.mobile.lines() == []
