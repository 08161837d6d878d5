"""Publishing: each message is accepted, or refused with a reason of its own, and goes to every queue that
wants it. State is read only.

Rule 1  All deliveries of a publish are one event: they happened, or the publish did not.
Rule 2  A queue that does not take its copy never fails the publish. The copy goes to the subscription's
        dead-letter queue, by the same event, or is counted as failed.
Rule 3  A FIFO topic deduplicates before it delivers. What it accepted is remembered by an event of its own,
        in the same commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from ropewayd.kernel.service import Decision, Event, Needs, Outcome
from ropewayd.queues.fanning import Fan, Fanning
from ropewayd.queues.hidden import called
from ropewayd.queues.message import size_of
from ropewayd.queues.records import MAX_SEQUENCE
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import (
    InvalidMessageContents,
    InvalidParameterValue,
    MissingParameter,
    OverLimit,
    RopewayError,
)
from ropewayd.vocabulary.tokens import token_problem

from . import actions as a
from . import events as e
from .archive import kept, mark
from .message_attributes import check_message_attributes
from .notification import Notification, bodies_of, content_id
from .records import sequence_number
from .registry import Registry, missing
from .screening import Screen
from .subscriber import form_of
from .topic import Subscription, Topic

NO_QUEUE: Final = "there is no such queue"
REFUSED: Final = "the queue does not take it: for its size, its attributes, or a limit on what may wait"

DEFAULT_SIZE: Final = 262_144
"""Bytes of one message, where the topic does not say."""
_NONE: Final[Mapping[int, a.Signature]] = {}


_TAKEN: Final[tuple[Sequence[int], Sequence[int]]] = (), ()


class NotTaken(Protocol):
    """Hears of the copy of a message that a subscription's queue did not take, why, and whether it became a
    dead letter."""

    def __call__(
        self, topic: Topic, subscription: Subscription, message: str, why: str, lettered: bool
    ) -> None: ...


class Publishing:
    """Decides publishes. `entropy(n)` gives n unguessable bytes."""

    def __init__(self, registry: Registry, fanning: Fanning, entropy: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._fanning = fanning
        self._entropy = entropy
        self.address = ""
        """What UnsubscribeURLs begin with; without it envelopes have none."""
        self.not_taken: NotTaken | None = None
        """Told of each copy that a queue did not take."""

    def table(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return {
            a.PublishMessage: self.publish,
            a.PublishTogether: self.publish_together,
            a.PublishSigned: self.publish_signed,
        }

    def to_sign(
        self, action: a.PublishMessage, now: int
    ) -> tuple[str, dict[int, tuple[bytes, dict[str, str]]]]:
        """The version of signatures, and which entries queues are to get in an envelope, if they were
        published now, each with an id and what the envelope says. FIFO topics sign nothing (as AWS's). It is
        asked before the publish is decided: who subscribes in between gets it unsigned."""
        topic = self._registry.find(action.topic)
        if topic is None or topic.attributes.fifo:
            return "", {}
        takers = [
            each
            for each in topic.subscriptions.values()
            if not each.number and not each.attributes.raw_message_delivery and each.hears(now)
        ]
        found: dict[int, tuple[bytes, dict[str, str]]] = {}
        for index, entry in enumerate(action.entries if takers else ()):
            note = _read(topic, entry, index)
            if isinstance(note, RopewayError):
                continue
            if any(each.filter is None or note.wanted(each.filter) for each in takers):
                note.id = self._entropy(16)
                found[index] = note.id, note.shown(topic.arn, now)
        return topic.attributes.signature_version or "1", found

    def publish_signed(self, action: a.PublishSigned, now: int) -> Outcome:
        if action.together:
            return self.publish_together(action, now, action.signatures)
        return self.publish(action, now, action.signatures)

    def publish_together(
        self, action: a.PublishMessage, now: int, signatures: Mapping[int, a.Signature] = _NONE
    ) -> Outcome:
        """As AWS's PublishBatch: what is wrong with the group or the size of one is wrong with all."""
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        for index, entry in enumerate(action.entries):
            problem = None if isinstance(entry.body, RopewayError) else _order_problem(topic, entry, index)
            if problem is not None:
                return problem
        sizes = [
            size_of(entry.body, entry.attributes)
            for entry in action.entries
            if type(entry.body) in (str, bytes)
        ]
        maximum = topic.attributes.maximum_message_size or DEFAULT_SIZE
        if len(sizes) > 1 and sum(sizes) > maximum:
            return InvalidParameterValue(
                f"The messages have {sum(sizes)} bytes together; this topic takes {maximum} at one time.",
                "entries",
            )
        return self.publish(action, now, signatures)

    def publish(
        self, action: a.PublishMessage, now: int, signatures: Mapping[int, a.Signature] = _NONE
    ) -> Outcome:  # one loop, as sending
        topic = self._registry.find(action.topic)
        if topic is None:
            return missing(action.topic)
        errors: dict[int, RopewayError] = {}
        notes: dict[int, Notification] = {}
        for index, entry in enumerate(action.entries):
            read = _read(topic, entry, index)
            if isinstance(read, RopewayError):
                errors[index] = read
            else:
                notes[index] = read
        accepted = list(notes.values())
        screen: Screen | None = None
        if topic.attributes.fifo and accepted:
            screen = Screen(
                topic, [(note.group or "", note.deduplication_id or "") for note in accepted], now
            )
            if (needs := screen.needs(self._registry)) is not None:
                return needs
            accepted = [note for at, note in enumerate(accepted) if at not in screen.repeats]
        count = len(accepted)
        first, ids = topic.next_sequence, self._entropy(16 * count) if count else b""
        if first + count > MAX_SEQUENCE:
            return OverLimit("This topic has no sequences left: delete it and create it anew.", "topic")
        for at, note in enumerate(accepted):
            note.id = ids[16 * at : 16 * at + 16]
            if screen is not None:
                note.sequence_number = sequence_number(topic.number, first + at)
        _sign(notes, signatures)
        events: tuple[Event, ...] | Needs = ()
        if count and (topic.subscriptions or topic.archive):
            events = self._deliver(topic, accepted, now, first)
        if isinstance(events, Needs):
            return events
        if screen is not None and count:
            events = (*events, e.Published(topic.number, first, now, ids, screen.column()))
        ahead = None if screen is None else screen.ahead(self._registry)
        return Decision(_answer(topic, notes, accepted, errors, screen), events, ahead)

    def replayed(
        self, topic: Topic, subscription: Subscription, notes: list[Notification], now: int
    ) -> tuple[Event, ...] | Needs:
        """Deliver these once more, to one subscription."""
        policy = subscription.filter
        wanted = [note for note in notes if policy is None or note.wanted(policy)]
        for note in wanted:
            mark(note)
        fan = self._fanning.begin(now)
        copies = _Copies(fan, topic, wanted, self.address, now)
        everything = list(range(len(wanted)))
        lettered, failed = _TAKEN
        if subscription.number:
            fan.add(subscription.queue, copies.pushed(everything, subscription.protocol))
        elif wanted:
            # It may have had them a moment ago: that is no reason to leave them out.
            lettered, failed = self._copy(fan, copies, subscription, everything, again=True)
        if fan.needs is not None:
            return fan.needs
        if not subscription.number:
            meter = subscription.meter
            meter.delivered += len(wanted) - len(lettered) - len(failed)
            if lettered or failed:
                self._tell(topic, subscription, wanted, lettered, failed)
        event = fan.event()
        return () if event is None else (event,)

    def _deliver(
        self, topic: Topic, notes: Sequence[Notification], now: int, first: int
    ) -> tuple[Event, ...] | Needs:
        fan = self._fanning.begin(now)
        copies = _Copies(fan, topic, notes, self.address, now)
        everything = list(range(len(notes)))
        told: list[tuple[Subscription, int, Sequence[int], Sequence[int]]] = []
        if topic.archive:
            numbers = range(first, first + len(notes)) if topic.attributes.fifo else [0] * len(notes)
            held = [fan.put(kept(note, n, now)) for note, n in zip(notes, numbers, strict=True)]
            refused = fan.add(called(topic.archive), held, kept=True)
            assert not refused, "an archive takes everything"
        for subscription in topic.subscriptions.values():
            if not subscription.hears(now):
                continue
            policy = subscription.filter
            wanted = everything
            if policy is not None:
                wanted = [n for n in everything if notes[n].wanted(policy)]
                if not wanted:
                    told.append((subscription, 0, *_TAKEN))
                    continue
            if subscription.number:
                # What becomes of it is counted when it is delivered (see deliveries/).
                fan.add(
                    subscription.queue,
                    copies.pushed(wanted, form_of(subscription.protocol, subscription.endpoint)),
                )
                subscription.meter.filtered += len(notes) - len(wanted)
                continue
            lettered, failed = self._copy(fan, copies, subscription, wanted)
            if fan.needs is not None:
                return fan.needs
            told.append((subscription, len(wanted), lettered, failed))
        event = fan.event()
        for subscription, wanted_of_it, lettered, failed in told:
            meter = subscription.meter
            meter.filtered += len(notes) - wanted_of_it
            meter.delivered += wanted_of_it
            if lettered or failed:
                meter.delivered -= len(lettered) + len(failed)
                self._tell(topic, subscription, notes, lettered, failed)
        return (event,) if event is not None else ()

    def _copy(
        self,
        fan: Fan,
        copies: _Copies,
        subscription: Subscription,
        wanted: list[int],
        *,
        again: bool = False,
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Deliver to one queue; which became dead letters, and which failed."""
        raw = subscription.attributes.raw_message_delivery
        own = "" if raw or not copies.address else subscription.own
        picks = copies.of(wanted, raw=raw, fifo=subscription.fifo)
        refused = fan.add(subscription.queue, picks, own, letters=again)
        if not refused or fan.needs is not None:
            return _TAKEN
        places = dict(zip(picks, wanted, strict=True))
        lost = [places[n] for n in refused]
        if subscription.letters is None:
            return (), lost
        letters = dict(zip(copies.of(lost, raw=raw, fifo=copies.fifo), lost, strict=True))
        failed = [letters[n] for n in fan.add(subscription.letters, list(letters), own, letters=True)]
        return [n for n in lost if n not in failed], failed

    def _tell(
        self,
        topic: Topic,
        subscription: Subscription,
        notes: Sequence[Notification],
        lettered: Sequence[int],
        failed: Sequence[int],
    ) -> None:
        """These copies were not taken."""
        subscription.meter.dead_lettered += len(lettered)
        subscription.meter.failed += len(failed)
        if self.not_taken is None:
            return
        there = self._fanning.registry.find(subscription.queue) is not None
        why = REFUSED if there else NO_QUEUE
        for n in sorted((*lettered, *failed)):
            message = str(uuid.UUID(bytes=notes[n].id))
            self.not_taken(topic, subscription, message, why, n not in failed)


class _Copies:
    """The forms in which messages go to queues, each made once, when it is first needed."""

    __slots__ = ("_fan", "_forms", "_notes", "_now", "_pushed", "_topic", "address", "fifo")

    def __init__(self, fan: Fan, topic: Topic, notes: Sequence[Notification], address: str, now: int) -> None:
        self.address = address
        self.fifo = topic.attributes.fifo
        self._fan = fan
        self._topic = topic
        self._notes = notes
        self._now = now
        self._forms: dict[tuple[bool, bool], list[int]] = {}
        self._pushed: dict[str, list[int]] = {}

    def of(self, wanted: list[int], *, raw: bool, fifo: bool) -> list[int]:
        """These messages in this form, as the fan-out calls them."""
        form = self._forms.get((raw, fifo))
        if form is None:
            form = self._forms[raw, fifo] = [
                self._fan.put(
                    note.content(
                        *(self._topic.arn, self.address, self._now),
                        raw=raw,
                        fifo=fifo,
                        grouped=not self.fifo,
                    )
                )
                for note in self._notes
            ]
        return form if len(wanted) == len(form) else [form[n] for n in wanted]

    def pushed(self, wanted: list[int], called: str) -> list[int]:
        """These messages as they wait for their delivery to those that their structure calls so."""
        form = self._pushed.get(called)
        if form is None:
            form = self._pushed[called] = [
                self._fan.put(note.waiting(self._topic.arn, called, self._now)) for note in self._notes
            ]
        return form if len(wanted) == len(form) else [form[n] for n in wanted]


def _read(topic: Topic, entry: a.PublishEntry, index: int) -> Notification | RopewayError:
    """A message of a publish, checked."""
    body = entry.body
    if isinstance(body, RopewayError):
        return body
    field = f"entries[{index}].body"
    if type(body) is not str and type(body) is not bytes:
        return InvalidMessageContents(f"The field {field} is neither text nor bytes.", field)
    if not body:
        return InvalidMessageContents(f"The field {field} is empty; it has at least one character.", field)
    if entry.attributes:
        problem = check_message_attributes(entry.attributes, f"entries[{index}].attributes")
        if problem is not None:
            return problem
    size, maximum = size_of(body, entry.attributes), topic.attributes.maximum_message_size or DEFAULT_SIZE
    if size > maximum:
        return InvalidParameterValue(
            f"The message {field} counts {size} bytes with its attributes; this topic takes at most "
            f"{maximum}.",
            field,
        )
    problem = _order_problem(topic, entry, index)
    if problem is not None:
        return problem
    shown = bodies_of(entry, field)
    if isinstance(shown, RopewayError):
        return shown
    note = Notification(entry, shown)
    if topic.attributes.fifo and note.deduplication_id is None:
        note.deduplication_id = content_id(body)
    return note


def _sign(notes: Mapping[int, Notification], signatures: Mapping[int, a.Signature]) -> None:
    """Those that were signed before have the id and the time that were signed."""
    for index, signature in signatures.items():
        if index in notes:
            note = notes[index]
            note.id, note.at, note.signature = signature.id, signature.at, signature


def _order_problem(topic: Topic, entry: a.PublishEntry, index: int) -> RopewayError | None:
    """What is wrong with a message's group or deduplication id."""
    problem = token_problem(index, group=entry.group, deduplication_id=entry.deduplication_id)
    if problem is not None:
        return problem
    if not topic.attributes.fifo:
        if entry.deduplication_id is None:
            return None
        return InvalidParameterValue(
            f"The field entries[{index}].deduplication_id is not valid. Reason: The request includes "
            "MessageDeduplicationId parameter that is not valid for this topic type",
            f"entries[{index}].deduplication_id",
        )
    if entry.group is None:
        field = f"entries[{index}].group"
        return MissingParameter(
            f"The field {field} is missing: a message of a FIFO topic has a group.", field
        )
    if entry.deduplication_id is None and not topic.attributes.content_based_deduplication:
        return InvalidParameterValue(
            "The topic should either have content_based_deduplication enabled or deduplication_id provided "
            "explicitly.",
            f"entries[{index}].deduplication_id",
        )
    return None


def _answer(
    topic: Topic,
    notes: Mapping[int, Notification],
    accepted: Sequence[Notification],
    errors: Mapping[int, RopewayError],
    screen: Screen | None,
) -> list[Any]:
    """An answer for each message: its error, what it repeats, or what it has become."""
    if screen is None:
        fresh: list[Any] = [note.id for note in accepted]
    else:
        fresh = [(note.id, note.sequence_number) for note in accepted]
    repeats = screen.repeats if screen is not None else {}
    if not errors and not repeats:
        return fresh
    rest = iter(fresh)
    answers: dict[int, Any] = dict(errors)
    for place, index in enumerate(notes):
        repeat = repeats.get(place)
        if repeat is None:
            answers[index] = next(rest)
        elif isinstance(repeat, int):
            answers[index] = fresh[repeat]
        else:
            answers[index] = (repeat.id, sequence_number(topic.number, repeat.sequence))
    return [answers[index] for index in sorted(answers)]
