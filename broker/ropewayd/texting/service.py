"""The texting service: what the kernel sees of it.

It owns what is kept of telephone numbers and changes it by events alone. Messages to numbers wait in hidden
queues, one an account; a dispatcher (see deliveries/) sends them.
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
from ropewayd.vocabulary.names import Scope

from . import events as e
from .account import OptOut, SandboxNumber
from .deciding import Deciding
from .phones import Phones
from .records import (
    ACCOUNT,
    OPT_OUT,
    SANDBOX,
    TEXTING,
    VERSION,
    AccountRecord,
    OptOutRecord,
    SandboxRecord,
    key,
    read_key,
)

_encode = msgspec.msgpack.Encoder().encode
_accounts = msgspec.msgpack.Decoder(AccountRecord)
_opt_outs = msgspec.msgpack.Decoder(OptOutRecord)
_sandboxes = msgspec.msgpack.Decoder(SandboxRecord)


class Changed(msgspec.Struct, gc=False, frozen=True):
    """The touch of a record: `kind` as its key begins."""

    kind: bytes
    scope: Scope
    number: str = ""


class Texting:
    """See the module. `fanning` is the queues' own; `entropy(n)` gives n unguessable bytes."""

    name = "texting"
    spaces: Sequence[Space] = (TEXTING,)

    def __init__(
        self,
        fanning: Fanning,
        phones: Phones | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._phones = Phones() if phones is None else phones
        self._deciders = Deciding(self._phones, fanning, entropy).table()
        self.opened: Callable[[Scope, str], None] | None = None
        """Told of each hidden queue that is made: whose it is, and what it is called."""

    def deciders(self) -> Mapping[type[Action], Callable[[Any, int], Outcome]]:
        return self._deciders

    def appliers(self) -> Mapping[type[Event], Callable[[Any, int], Touch]]:
        return {
            e.SmsAttributesSet: self._attributes_set,
            e.OptOutChanged: self._opt_out_changed,
            e.SandboxNumberChanged: self._sandbox_changed,
            e.SandboxNumberRemoved: self._sandbox_removed,
            e.TextQueueMade: self._queue_made,
        }

    # Events

    def _attributes_set(self, event: e.SmsAttributesSet, lsn: int) -> Touch:
        account = self._phones.kept(Scope(event.account, event.region))
        if lsn > account.stored:
            account.set(event.attributes)
        self._phones.tidy(account)
        return Changed(ACCOUNT, account.scope)

    def _queue_made(self, event: e.TextQueueMade, lsn: int) -> Touch:
        account = self._phones.kept(Scope(event.account, event.region))
        account.queue = event.queue  # made once
        if self.opened is not None:
            self.opened(account.scope, hidden.called(event.queue))
        return Changed(ACCOUNT, account.scope)

    def _opt_out_changed(self, event: e.OptOutChanged, lsn: int) -> Touch:
        account = self._phones.kept(Scope(event.account, event.region))
        found = account.opted_out.get(event.number)
        if found is None or lsn > found.stored:
            if event.at:
                account.opted_out.put(event.number, OptOut(event.at))
            else:
                account.opted_out.remove(event.number)
        self._phones.tidy(account)
        return Changed(OPT_OUT, account.scope, event.number)

    def _sandbox_changed(self, event: e.SandboxNumberChanged, lsn: int) -> Touch:
        account = self._phones.kept(Scope(event.account, event.region))
        found = account.sandbox.get(event.number)
        if found is None or lsn > found.stored:
            known = SandboxNumber(event.password, event.at, event.wrong, event.verified)
            account.sandbox.put(event.number, known)
        return Changed(SANDBOX, account.scope, event.number)

    def _sandbox_removed(self, event: e.SandboxNumberRemoved, lsn: int) -> Touch:
        account = self._phones.kept(Scope(event.account, event.region))
        found = account.sandbox.get(event.number)
        if found is None or lsn > found.stored:
            account.sandbox.remove(event.number)
        self._phones.tidy(account)
        return Changed(SANDBOX, account.scope, event.number)

    # Spilling

    def spill(self, touch: Touch, into: SliceBuilder) -> Touch:
        """A record's own lsn says what it knows: one that the disk has as of now is not written again."""
        assert isinstance(touch, Changed)
        account = self._phones.accounts.get(touch.scope)
        record: AccountRecord | OptOutRecord | SandboxRecord | None = None
        holder: Any = None
        if account is not None and touch.kind == ACCOUNT and account.has_own:
            holder, record = account, AccountRecord(VERSION, account.attributes, account.queue)
        elif account is not None and touch.kind == OPT_OUT:
            holder = out = account.opted_out.get(touch.number)
            record = None if out is None else OptOutRecord(VERSION, out.at)
        elif account is not None and touch.kind == SANDBOX:
            holder = each = account.sandbox.get(touch.number)
            if each is not None:
                record = SandboxRecord(VERSION, each.password, each.at, each.wrong, each.verified)
        its = key(touch.kind, touch.scope, touch.number)
        if record is None:
            into.drop(TEXTING, its)
        elif holder.stored < into.part:
            into.put(TEXTING, its, _encode(record))
            holder.stored = into.lsn
        return None

    def load(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.space == TEXTING:
                assert type(record.key) is bytes
                self._load(*read_key(record.key), record)

    def _load(self, kind: bytes, scope: Scope, number: str, record: Record) -> None:
        account = self._phones.kept(scope)
        said: AccountRecord | OptOutRecord | SandboxRecord
        if kind == ACCOUNT:
            said = _accounts.decode(record.value)
            account.attributes, account.queue, account.stored = said.attributes, said.queue, record.lsn
        elif kind == OPT_OUT:
            said = _opt_outs.decode(record.value)
            account.opted_out.put(number, OptOut(said.at, record.lsn))
        else:
            said = _sandboxes.decode(record.value)
            known = SandboxNumber(said.password, said.at, said.wrong, said.verified, record.lsn)
            account.sandbox.put(number, known)
        assert said.version == VERSION

    # What else the kernel asks

    def feeds(self, event: Event) -> Iterable[object]:
        return ()

    def due(self, payloads: list[Any], now: int) -> Iterable[Action]:
        return ()

    def named(self, events: Iterable[Event]) -> Iterable[tuple[Space, Key]]:
        """All records are loaded already."""
        return ()

    def recovered(self, now: int) -> None:
        """There is nothing to derive."""

    def opening(self) -> Iterable[Action]:
        return ()

    def weight(self, touch: Touch) -> int:
        """Nothing: what lives is in memory anyway."""
        return 0

    def spilled(self, slice: Slice) -> None:
        """Memory keeps all of it."""

    # Looking in

    def success_rate(self, scope: Scope) -> int:
        """Of how many of an account's messages that arrived the status log has an entry, in percent."""
        return int(self._phones.attributes(scope).delivery_status_success_sampling_rate or 100)

    def lines(self) -> list[tuple[Scope, str]]:
        """Whose hidden queues there are, and what they are called."""
        accounts = self._phones.accounts.values()
        return [(each.scope, hidden.called(each.queue)) for each in accounts if each.queue]

    def snapshot(self) -> dict[str, Any]:
        """The state in memory as plain objects."""
        accounts = sorted(self._phones.accounts.items())
        return {" ".join(scope): account.snapshot() for scope, account in accounts}
