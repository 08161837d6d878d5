"""A client: sends, receives, deletes, and what else clients do, right and wrong, as its dice fall."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from ropewayd.queues import actions as a
from tests.simulation.line import arn

QUEUES = ("orders", "mails", "orders-late")
CALLS = 45
"""Of one client in a short history."""

Call = Callable[[str, Any, int | None], Awaitable[Any]]


class Client:
    """See the module. It knows what it was told, and nothing else."""

    def __init__(self, call: Call, name: str, dice: random.Random) -> None:
        self._call = call
        self._name = name
        self._dice = dice
        self._sent = 0
        self._handles: list[tuple[str, bytes]] = []
        self._tasks: list[bytes] = []
        self._pace = dice.choice([0, 5, 50, 1_000])
        self._acts: list[tuple[int, Callable[[], Any]]] = [
            (30, self._send),
            (34, self._receive),
            (18, self._delete),
            (8, self._change),
            (5, self._get),
            (4, self._create),
            (2, self._set),
            (1, self._list),
            (1, self._purge),
            (1, self._delete_queue),
            (2, self._start_move),
            (4, self._cancel_move),
            (2, self._mark),
            (1, self._permit),
            (2, self._peek),
            (3, self._receive_from),
        ]

    async def run(self, calls: int) -> None:
        await self._call(
            self._name, a.CreateQueue(queue=self._dice.choice(QUEUES), attributes=self._attributes()), None
        )
        for _ in range(calls):
            await asyncio.sleep(self._pause())
            weights = [weight for weight, _ in self._acts]
            action = self._dice.choices([act for _, act in self._acts], weights)[0]()
            patience = self._dice.choice([0, 3, 30, 3_000]) if self._dice.random() < 0.15 else None
            answer = await self._call(self._name, action, patience)
            self._learn(action, answer)

    def _pause(self) -> int:
        roll = self._dice.random()
        if self._pace and roll < 0.01:
            return self._dice.randint(1, 5 * 86_400_000)
        if self._pace and roll < 0.08:
            return self._dice.randint(1, 90_000)
        return self._dice.randint(0, self._pace)

    def _learn(self, action: Any, answer: Any) -> None:
        if isinstance(action, a.ReceiveMessage) and isinstance(answer, list):
            self._handles += [(action.queue, message[1]) for message in answer]
            del self._handles[:-40]
        if isinstance(action, a.ReceiveFromQueues) and isinstance(answer, dict) and answer["messages"]:
            queue = action.queues[answer["queue"]]
            self._handles += [(queue, message[1]) for message in answer["messages"]]
        if isinstance(action, a.StartMessageMoveTask) and isinstance(answer, dict):
            self._tasks.append(answer["task"])

    def _queue(self) -> str:
        return self._dice.choice(QUEUES)

    def _attributes(self) -> dict[str, Any]:
        choices: dict[str, list[Any]] = {
            "visibility_timeout": [0, 500, 30_000, 600_000],
            "delay": [0, 0, 300, 60_000],
            "retention_period": [60_000, 120_000, 345_600_000, 345_600_000],
            "receive_wait_time": [0, 1_000, 20_000],
            "maximum_message_size": [1024, 1_048_576],
        }
        chosen = {
            name: self._dice.choice(values) for name, values in choices.items() if self._dice.random() < 0.3
        }
        if self._dice.random() < 0.6:
            policy = {
                "dead_letter_target_arn": arn(self._dice.choice(("orders-late", "orders-late", *QUEUES))),
                "max_receive_count": self._dice.choice([1, 1, 2]),
            }
            chosen["redrive_policy"] = policy if self._dice.random() < 0.9 else None
        if self._dice.random() < 0.03:
            chosen["redrive_allow_policy"] = self._dice.choice(
                [
                    {"redrive_permission": "denyAll", "source_queue_arns": None},
                    {"redrive_permission": "byQueue", "source_queue_arns": [arn("orders")]},
                    None,
                ]
            )
        if self._dice.random() < 0.03:
            chosen |= self._dice.choice([{"colour": 1}, {"delay": -1}, {"delay": "long"}])
        return chosen

    # Acts

    def _start_move(self) -> Any:
        dice = self._dice
        return a.StartMessageMoveTask(
            source=dice.choice(("orders-late", "orders-late", *QUEUES)),
            destination=dice.choice((None, None, *QUEUES)),
            max_messages_per_second=dice.choice([None, 1, 1, 5]),
        )

    def _cancel_move(self) -> Any:
        if self._tasks:
            return a.CancelMessageMoveTask(task=self._tasks[-1])
        return a.ListMessageMoveTasks(source=self._queue(), limit=10)

    def _create(self) -> Any:
        return a.CreateQueue(
            queue=self._queue(), attributes=self._attributes() if self._dice.random() < 0.5 else {}
        )

    def _delete_queue(self) -> Any:
        return a.DeleteQueue(queue=self._queue())

    def _purge(self) -> Any:
        return a.PurgeQueue(queue=self._queue())

    def _get(self) -> Any:
        return a.GetQueueAttributes(queue=self._queue())

    def _set(self) -> Any:
        return a.SetQueueAttributes(queue=self._queue(), attributes=self._attributes())

    def _list(self) -> Any:
        return a.ListQueues(
            prefix=self._dice.choice(["", "orders", "x"]),
            limit=self._dice.choice([1, 2, 1000]),
            after=self._dice.choice([None, "mails", "orders"]),
        )

    def _send(self) -> Any:
        count = self._dice.choice([1, 1, 2, 5, 20])
        return a.SendMessage(queue=self._queue(), entries=[self._entry() for _ in range(count)])

    def _entry(self) -> a.SendEntry:
        dice = self._dice
        self._sent += 1
        padding = dice.choice(["", "", "", "é" * 10, "x" * 300, "y" * 1_100])
        text = f"{self._name}/{self._sent}/{padding}"
        body = text.encode() if dice.random() < 0.3 else text
        delay = dice.choice([None, None, None, 0, 20, 2_000, 60_000, 900_000])
        attributes: dict[str, Any] | None = None
        if dice.random() < 0.2:
            attributes = {"kind": ("String", "paper"), "raw": ("Binary.bytes", b"\x00\xff")}
        group = dice.choice(("red", "red", "blue", None, None, None))
        return a.SendEntry(body if dice.random() > 0.01 else "", delay, attributes, group=group)

    def _receive(self) -> Any:
        dice = self._dice
        return a.ReceiveMessage(
            queue=self._queue(),
            max_messages=dice.choice([1, 1, 3, 10, 50]),
            wait=dice.choice([None, 0, 0, 700, 5_000, 20_000]),
            visibility_timeout=dice.choice([None, None, 0, 30, 1_500, 30_000, 3_600_000, 43_200_000]),
        )

    def _receive_from(self) -> Any:
        dice = self._dice
        queues = dice.sample(QUEUES, dice.choice([1, 2, 3]))
        return a.ReceiveFromQueues(
            queues=queues,
            weights=dice.choice([None, [dice.randint(1, 9) for _ in queues]]),
            max_messages=dice.choice([1, 3, 10]),
            wait=0,
            visibility_timeout=dice.choice([None, 0, 1_500, 3_600_000]),
        )

    def _mark(self) -> Any:
        dice, queue = self._dice, self._queue()
        key = dice.choice(("owner", "stage"))
        return dice.choice(
            (
                a.TagQueue(queue=queue, tags={key: dice.choice(("a", "b"))}),
                a.UntagQueue(queue=queue, keys=[key]),
                a.ListQueueTags(queue=queue),
            )
        )

    def _permit(self) -> Any:
        dice, queue = self._dice, self._queue()
        label = dice.choice(("first", "second"))
        if dice.random() < 0.5:
            return a.RemovePermission(queue=queue, label=label)
        return a.AddPermission(queue=queue, label=label, accounts=["1" * 12], actions=["SendMessage"])

    def _peek(self) -> Any:
        dice = self._dice
        return a.PeekMessages(
            queue=self._queue(), limit=dice.choice([1, 10, 1000]), after=dice.choice([0, 0, 7])
        )

    def _handle(self, keep: bool) -> tuple[str, bytes]:
        dice = self._dice
        if not self._handles or dice.random() < 0.02:
            return self._queue(), dice.randbytes(dice.choice([0, 7, 36]))
        at = dice.randrange(len(self._handles))
        queue, handle = self._handles[at] if keep or dice.random() < 0.2 else self._handles.pop(at)
        return (self._queue() if dice.random() < 0.02 else queue), handle

    def _handle_batch(self, keep: bool) -> tuple[str, list[bytes]]:
        """Handles of one queue, mostly."""
        queue, first = self._handle(keep)
        handles = [first]
        for other, handle in list(self._handles):
            if other == queue and len(handles) < 20 and self._dice.random() < 0.5:
                handles.append(handle)
                if not keep:
                    self._handles.remove((other, handle))
        return queue, handles

    def _delete(self) -> Any:
        queue, handles = self._handle_batch(keep=False)
        return a.DeleteMessage(queue=queue, handles=handles)

    def _change(self) -> Any:
        queue, handles = self._handle_batch(keep=True)
        timeouts = (0, 0, 40, 2_000, 60_000, 3_600_000, 43_200_000)
        entries = [a.VisibilityEntry(handle, self._dice.choice(timeouts)) for handle in handles]
        return a.ChangeMessageVisibility(queue=queue, entries=entries)
