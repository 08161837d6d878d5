"""The mobile service: what the kernel sees of it.

It owns the state of all platform applications and endpoints, and changes it by events alone. Each has a
record of its own, written as of the slice's lsn; all of them are loaded at start. Messages to endpoints wait
in hidden queues, one an application; a dispatcher (see deliveries/) sends them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ropewayd.kernel.service import Event, Outcome, SliceBuilder, Touch
from ropewayd.queues import hidden
from ropewayd.queues.fanning import Fanning
from ropewayd.store.protocol import Key, Record, Slice, Space
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import RopewayError
from ropewayd.vocabulary.names import Scope

from . import events as e
from .administration import Administration
from .application import Application, Endpoint
from .publishing import Publishing
from .records import (
    MOBILE,
    NEXT_NUMBER,
    VERSION,
    ApplicationRecord,
    EndpointRecord,
    application_key,
    endpoint_key,
)
from .registry import Registry
from .settings import MobileLimits

PIECE = 500
"""Records that are dropped before the slice's size is looked at again."""

_encode = msgspec.msgpack.Encoder().encode
_applications = msgspec.msgpack.Decoder(ApplicationRecord)
_endpoints = msgspec.msgpack.Decoder(EndpointRecord)


class Own(msgspec.Struct, gc=False, frozen=True):
    """An application's own record, and the next number, changed."""

    number: int


class Device(msgspec.Struct, gc=False, frozen=True):
    """An endpoint came, changed or went."""

    number: int
    id: bytes


class Ended(msgspec.Struct, gc=False, frozen=True):
    """An incarnation is over, with the endpoints of these ids."""

    number: int
    ids: list[bytes]


class Mobile:
    """See the module. `fanning` is the queues' own; `entropy(n)` gives n unguessable bytes."""

    name = "mobile"
    spaces: Sequence[Space] = (MOBILE,)

    def __init__(
        self,
        fanning: Fanning,
        limits: MobileLimits | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._registry = Registry(limits or MobileLimits())
        self._deciders = {
            **Administration(self._registry, entropy).table(),
            **Publishing(self._registry, fanning, entropy).table(),
        }
        self.opened: Callable[[Scope, str], None] | None = None
        """Told of each hidden queue that is made: whose it is, and what it is called."""

    def deciders(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return self._deciders

    def appliers(self) -> Mapping[type[Event], Callable[[Any, int], Touch]]:
        return {
            e.ApplicationSet: self._application_set,
            e.ApplicationDeleted: self._application_deleted,
            e.EndpointSet: self._endpoint_set,
            e.EndpointDeleted: self._endpoint_deleted,
            e.PushQueueMade: self._queue_made,
        }

    def feeds(self, event: Event) -> Iterable[object]:
        return ()

    def due(self, payloads: list[Any], now: int) -> Iterable[Action]:
        return ()

    # Events

    def _application_set(self, event: e.ApplicationSet, lsn: int) -> Touch:
        registry = self._registry
        registry.next_number = max(registry.next_number, event.number + 1)
        there = registry.by_number.get(event.number)
        if there is None:
            scope = Scope(event.account, event.region)
            registry.add(
                Application(event.number, event.platform, event.name, scope, event.at, event.attributes)
            )
        elif lsn > there.stored:
            there.attributes = event.attributes
        return Own(event.number)

    def _application_deleted(self, event: e.ApplicationDeleted, lsn: int) -> Touch:
        application = self._registry.by_number.get(event.number)
        if application is None:
            return None
        self._registry.remove(application)
        return Ended(event.number, list(application.order))

    def _endpoint_set(self, event: e.EndpointSet, lsn: int) -> Touch:
        application = self._registry.by_number.get(event.number)
        if application is None:
            return None
        there = application.endpoints.get(event.id)
        if there is None:
            application.add(Endpoint(event.id, event.token, event.user_data, event.enabled))
        elif lsn > there.stored:
            application.change(there, event.token, event.user_data, event.enabled)
        return Device(event.number, event.id)

    def _endpoint_deleted(self, event: e.EndpointDeleted, lsn: int) -> Touch:
        application = self._registry.by_number.get(event.number)
        if application is None:
            return None
        endpoint = application.endpoints.get(event.id)
        if endpoint is not None:
            application.remove(endpoint)
        return Device(event.number, event.id)

    def _queue_made(self, event: e.PushQueueMade, lsn: int) -> Touch:
        application = self._registry.by_number.get(event.number)
        if application is None:
            return None
        application.queue = event.queue  # made once
        if self.opened is not None:
            self.opened(application.scope, hidden.called(event.queue))
        return Own(event.number)

    # Recovery and spilling

    def load(self, records: Iterable[Record]) -> None:
        for record in sorted((r for r in records if r.space == MOBILE), key=lambda r: bytes(r.key)):
            assert type(record.key) is bytes
            if record.key == NEXT_NUMBER:
                self._registry.next_number = msgspec.msgpack.decode(record.value, type=int)
                continue
            number = int.from_bytes(record.key[1:9], "big")
            if record.key[:1] == b"a":
                said = _applications.decode(record.value)
                assert said.version == VERSION
                scope = Scope(said.account, said.region)
                made = Application(number, said.platform, said.name, scope, said.at, said.attributes)
                made.queue, made.stored = said.queue, record.lsn
                self._registry.add(made)
            else:
                self._load_endpoint(number, record.key[9:], record)

    def _load_endpoint(self, number: int, id_: bytes, record: Record) -> None:
        said = _endpoints.decode(record.value)
        assert said.version == VERSION
        application = self._registry.by_number.get(number)
        if application is None:
            return  # the application ended, and this record is still to be dropped
        endpoint = Endpoint(id_, said.token, said.user_data, said.enabled)
        endpoint.stored = record.lsn
        application.add(endpoint)

    def named(self, events: Iterable[Event]) -> Iterable[tuple[Space, Key]]:
        """Everything is loaded already."""
        return ()

    def recovered(self, now: int) -> None:
        self._registry.settle()

    def opening(self) -> Iterable[Action]:
        return ()

    def spill(self, touch: Touch, into: SliceBuilder) -> Touch:
        application = self._registry.by_number.get(touch.number)
        if isinstance(touch, Own):
            into.at_end(self, self._put_next)
            if application is not None:
                _put_application(application, into)
        elif isinstance(touch, Device):
            endpoint = None if application is None else application.endpoints.get(touch.id)
            if endpoint is None:
                into.drop(MOBILE, endpoint_key(touch.number, touch.id))
            else:
                _put_endpoint(touch.number, endpoint, into)
        else:
            assert isinstance(touch, Ended)
            for _ in range(min(len(touch.ids), PIECE)):
                into.drop(MOBILE, endpoint_key(touch.number, touch.ids.pop()))
            if touch.ids:
                return touch
            into.drop(MOBILE, application_key(touch.number))
        return None

    def _put_next(self, into: SliceBuilder) -> None:
        into.put(MOBILE, NEXT_NUMBER, _encode(self._registry.next_number))

    def weight(self, touch: Touch) -> int:
        """Nothing: applications are few, and endpoints are small."""
        return 0

    def spilled(self, slice: Slice) -> None:
        pass

    # Looking in

    def endpoint(self, arn: str) -> tuple[Application, Endpoint] | RopewayError:
        """The endpoint of this ARN, and its application with its secrets."""
        return self._registry.endpoint(arn)

    def lines(self) -> list[tuple[Scope, str]]:
        """Whose hidden queues there are, and what they are called."""
        applications = self._registry.by_number.values()
        return [(each.scope, hidden.called(each.queue)) for each in applications if each.queue]

    def snapshot(self) -> dict[str, Any]:
        """The state in memory as plain objects."""
        return {
            "next_number": self._registry.next_number,
            "applications": {number: each.snapshot() for number, each in self._registry.by_number.items()},
        }


def _put_application(each: Application, into: SliceBuilder) -> None:
    if each.stored < into.part:
        record = ApplicationRecord(
            VERSION, each.platform, each.name, *each.scope, each.at, each.attributes, each.queue
        )
        into.put(MOBILE, application_key(each.number), _encode(record))
        each.stored = into.lsn


def _put_endpoint(number: int, each: Endpoint, into: SliceBuilder) -> None:
    if each.stored < into.part:
        record = EndpointRecord(VERSION, each.token, each.user_data, each.enabled)
        into.put(MOBILE, endpoint_key(number, each.id), _encode(record))
        each.stored = into.lsn
