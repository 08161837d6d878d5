"""The consumer of all hidden queues: what a topic owes to subscribers that are no queues leaves here, and
what was published to telephone numbers and to devices.

Rule 1  A delivery is a message of a hidden queue. It is received, sent, and deleted when the subscriber has
        it; a retry is its visibility timeout. So what a restart interrupts is done again, and nothing that
        was not delivered is forgotten.
Rule 2  Each subscription has a share of what is sent at one time: one that is slow or dead slows nobody. And
        those that did not answer at all the last time have one message each under way, and half of the turns
        together: however many they are, the others' turns stay free.
Rule 3  What is given up goes to the subscription's dead-letter queue first, and only then leaves the hidden
        one. Where that has no room now, it stays. A question (a confirmation) or a farewell that is given up
        is gone.
Rule 4  Nothing runs where there is nothing to send: a subscription waits in one long poll of the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import msgspec

from ropewayd.kernel.batch import Awaited
from ropewayd.kernel.kernel import Kernel
from ropewayd.mobile.service import Mobile
from ropewayd.queues import actions as q
from ropewayd.texting.actions import OptOutPhoneNumber
from ropewayd.texting.service import Texting
from ropewayd.topics import delivery_policy
from ropewayd.topics.delivery_policy import DeliveryPolicy, Retries
from ropewayd.topics.feedback import success_rate
from ropewayd.topics.notification import FAREWELL
from ropewayd.topics.service import Topics
from ropewayd.topics.topic import Meter, Subscription, Topic
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import OverLimit, RopewayError, ServiceUnavailable
from ropewayd.vocabulary.names import Scope

from .delivery import DELIVERED, REFUSED, RETRY, Answer, Delivery, Sender
from .direct import direct
from .envelope import envelope, raw_attributes, raw_body
from .settings import DispatchLimits
from .status_log import DEAD_LETTERED, FAILED, StatusLog, log, tell

POLL: Final = 43_200_000
"""Milliseconds that a subscription waits for messages; then it waits again."""
AGAIN: Final = 5.0
"""Seconds after which one asks again that was told that too many do."""
NO_ROOM: Final = 60_000
"""Milliseconds after which a message is tried again whose dead-letter queue had no room for it."""
SILENCE: Final = 500
"""Milliseconds from which on an attempt without an answer has kept a turn from others. It is well below what
a server may take by any setting in whole seconds: one that has timed out is never taken for one that ended
soon."""
_WEB: Final = frozenset(("http", "https"))


class Lane:
    """One subscription's way out, or that of what is published to numbers or devices themselves; and the
    reply of its long poll."""

    __slots__ = ("_dispatcher", "answers", "arn", "free_at", "longest", "out", "queue", "read")

    def __init__(
        self,
        dispatcher: Dispatcher,
        arn: str,
        queue: str,
        longest: float,
        read: Callable[[Any], Delivery] | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self.arn = arn
        self.queue = queue
        self.read = read
        """What reads its messages, if no topic has a say in them; None: they are a subscription's."""
        self.longest = longest
        """Seconds that an attempt may take. A message is the dispatcher's for twice as long: it waits for its
        turn, too."""
        self.out = 0
        self.answers = False
        """Whether its last attempt ended with an answer, well or badly, or at least soon."""
        self.free_at = 0.0
        """When the next message may leave, where a policy says how many may in a second."""

    def prepare(self, answer: Any) -> Any:
        return answer

    def deliver(self, prepared: Any) -> None:
        self._dispatcher.came(self, prepared)


class Dispatcher:
    """See the module. `address`: what URLs to the daemon begin with, empty where it is not to be asked."""

    def __init__(
        self,
        kernel: Kernel,
        topics: Topics,
        senders: Mapping[str, Sender],
        limits: DispatchLimits,
        address: str = "",
        texting: Texting | None = None,
        status_log: StatusLog | None = None,
        mobile: Mobile | None = None,
    ) -> None:
        self._texting = texting
        self._mobile = mobile
        self._status_log = status_log
        self._kernel = kernel
        self._topics = topics
        self._senders = senders
        self._limits = limits
        self._address = address
        self._turns = asyncio.Semaphore(limits.deliveries)
        self._turns_in_doubt = asyncio.Semaphore(max(1, limits.deliveries // 2))
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[Lane] = set()
        self._loop = asyncio.get_running_loop()
        self._over = False

    def start(self) -> None:
        """Begin with all subscriptions that there are."""
        for topic, subscription in self._topics.pushes():
            self._open(topic, subscription)
        self._topics.pushed = self._made
        if self._texting is not None:
            for scope, queue in self._texting.lines():
                self._open_line("sms", scope, queue)
            self._texting.opened = partial(self._line_made, "sms")
        if self._mobile is not None:
            for scope, queue in self._mobile.lines():
                self._open_line("application", scope, queue)
            self._mobile.opened = partial(self._line_made, "application")

    async def close(self) -> None:
        """Stop sending. What is under way goes back to its queue: the next daemon sends it at once."""
        self._over = True
        self._topics.pushed = None
        if self._texting is not None:
            self._texting.opened = None
        if self._mobile is not None:
            self._mobile.opened = None
        for lane in self._waiting:
            self._kernel.abandon(lane)  # or what goes back would come here again
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for sender in dict.fromkeys(self._senders.values()):
            await sender.close()

    def _made(self, topic: Topic, subscription: Subscription) -> None:
        """From within the kernel nothing is asked of it at once."""
        self._loop.call_soon(self._open, topic, subscription)

    def _open(self, topic: Topic, subscription: Subscription) -> None:
        longest = self._limits.longest[subscription.protocol]
        self._poll(Lane(self, topic.arn_of(subscription), subscription.queue, longest))

    def _line_made(self, protocol: str, scope: Scope, queue: str) -> None:
        self._loop.call_soon(self._open_line, protocol, scope, queue)

    def _open_line(self, protocol: str, scope: Scope, queue: str) -> None:
        read = partial(direct, protocol, scope)
        self._poll(Lane(self, "", queue, self._limits.longest[protocol], read))

    def _poll(self, lane: Lane) -> None:
        room = min((self._limits.share if lane.answers else 1) - lane.out, 10)
        if lane in self._waiting or room <= 0 or self._over:
            return
        self._waiting.add(lane)
        timeout = round(2000 * lane.longest)
        self._kernel.submit(
            q.ReceiveMessage(queue=lane.queue, max_messages=room, wait=POLL, visibility_timeout=timeout),
            lane,
        )

    def came(self, lane: Lane, answer: Any) -> None:
        """What a lane waited for."""
        self._waiting.discard(lane)
        if isinstance(answer, RopewayError):
            if isinstance(answer, OverLimit) and not self._over:
                self._loop.call_later(AGAIN, self._poll, lane)
            return  # otherwise its queue is gone, or the daemon ends
        if self._over:
            for message in answer:
                self._loop.call_soon(self._release, lane, message[1])
            return
        lane.out += len(answer)
        by = self._loop.time() + 2 * lane.longest
        for message in answer:
            task = self._loop.create_task(self._deliver(lane, message, by))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # From a callback of the kernel nothing is asked of it at once.
        self._loop.call_soon(self._poll, lane)

    async def _deliver(self, lane: Lane, message: Any, by: float) -> None:
        """One message, once. It is ours `by` that time."""
        try:
            topic, subscription, policy = None, None, None
            if lane.read is not None:
                delivery = lane.read(message)
            else:
                found = self._topics.subscriber(lane.arn)
                if isinstance(found, RopewayError):
                    return
                topic, subscription = found
                policy = _policy(topic, subscription)
                delivery = self._read(topic, subscription, policy, message)
            await self._slow(lane, policy)
            async with self._turn(lane, message[1], by):
                answer = await self._attempt(lane, delivery)
            silent = answer.outcome == RETRY and answer.code is None
            lane.answers = not silent or answer.duration_ms < SILENCE
            tell(delivery, answer)
            if answer.opted_out:
                account, region = delivery.scope
                await self._ask(OptOutPhoneNumber(number=delivery.endpoint, account=account, region=region))
            retries = _retries(delivery.protocol, policy)
            outcome = await self._settle(lane, retries, subscription, message[1], delivery, answer)
            if topic is not None and self._status_log is not None:
                rate = self._success_rate(topic, delivery.protocol)
                self._status_log.attempted(topic, delivery, answer, outcome, rate)
        except asyncio.CancelledError:
            # The daemon stops: the next one need not wait until this message comes back by itself.
            self._release(lane, message[1])
            raise
        finally:
            lane.out -= 1
            self._poll(lane)

    @contextlib.asynccontextmanager
    async def _turn(self, lane: Lane, handle: bytes, by: float) -> AsyncIterator[None]:
        """One of the turns, for a message that is ours `by` a time. A lane that falls into doubt while it
        waits waits among those; a message stays ours however long it waits, so that no attempt is counted
        that was none."""
        while True:
            in_doubt = not lane.answers
            async with contextlib.AsyncExitStack() as held:
                try:
                    async with asyncio.timeout_at(by - lane.longest):
                        if in_doubt:
                            await held.enter_async_context(self._turns_in_doubt)
                        await held.enter_async_context(self._turns)
                except TimeoutError:
                    by = self._loop.time() + 2 * lane.longest
                    await self._ask(_again(lane, handle, round(2000 * lane.longest)))
                    continue
                if in_doubt or lane.answers:
                    yield
                    return

    def _success_rate(self, topic: Topic, protocol: str) -> int:
        """Of how many successes the status log has an entry, in percent."""
        if protocol == "sms" and self._texting is not None:
            return self._texting.success_rate(topic.scope)
        return success_rate(topic.attributes.feedback, protocol)

    async def _attempt(self, lane: Lane, delivery: Delivery) -> Answer:
        """Send it. A sender that fails by itself is no reason to forget the message, nor to try for ever."""
        try:
            async with asyncio.timeout(lane.longest):
                return await self._senders[delivery.protocol].send(delivery)
        except TimeoutError:
            return Answer(RETRY, None, "it took too long", round(lane.longest * 1000))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is said, and counts as an attempt
            log.error("a sender failed", protocol=delivery.protocol, error=type(error).__name__)
            log.debug("a sender failed", exc_info=error)
            return Answer(RETRY, None, f"the sender failed: {type(error).__name__}", 0)

    def _release(self, lane: Lane, handle: bytes) -> None:
        """Nobody has it any more. If it is settled already, nothing comes of this."""
        self._kernel.submit(_again(lane, handle, 0))

    async def _slow(self, lane: Lane, policy: DeliveryPolicy | None) -> None:
        """Wait where a policy says how many messages may leave in a second."""
        throttle = None if policy is None else policy.throttle_policy
        if throttle is None or throttle.max_receives_per_second is None:
            return
        now = self._loop.time()
        lane.free_at = max(now, lane.free_at + 1 / throttle.max_receives_per_second)
        if lane.free_at > now:
            await asyncio.sleep(lane.free_at - now)

    def _read(
        self, topic: Topic, subscription: Subscription, policy: DeliveryPolicy | None, message: Any
    ) -> Delivery:
        """What a message of a hidden queue says."""
        said = msgspec.json.decode(message[2])
        token = said.get("Token", "")
        arn, own = quote(topic.arn, safe=":"), topic.arn_of(subscription)
        asks = bool(self._address)
        confirm = f"{self._address}/?Action=ConfirmSubscription&TopicArn={arn}&Token={token}"
        end = f"{self._address}/?Action=Unsubscribe&SubscriptionArn={quote(own, safe=':')}"
        settings: dict[str, Any] = {"signature_version": topic.attributes.signature_version}
        if policy is not None and policy.request_policy is not None:
            settings["content_type"] = policy.request_policy.header_content_type
        return Delivery(
            topic=topic.arn,
            subscription=own,
            protocol=subscription.protocol,
            endpoint=subscription.endpoint,
            message_id=said["MessageId"],
            kind=said["Type"],
            body=said["Message"],
            subject=said.get("Subject"),
            attributes={
                name: (each["Type"], each["Value"])
                for name, each in said.get("MessageAttributes", {}).items()
            },
            timestamp=said["Timestamp"],
            sequence_number=said.get("SequenceNumber"),
            group=None,
            raw=subscription.attributes.raw_message_delivery,
            confirm_url=confirm if asks and token else "",
            unsubscribe_url=end if asks and said["Type"] != FAREWELL else "",
            token=token,
            attempt=message[4],
            settings=settings,
            scope=topic.scope,
        )

    async def _settle(
        self,
        lane: Lane,
        retries: Retries,
        subscription: Subscription | None,
        handle: bytes,
        delivery: Delivery,
        answer: Answer,
    ) -> str:
        """What becomes of the message now, in the status log's words. What is published to a number or
        a device has no subscription, and so no dead-letter queue."""
        meter = Meter() if subscription is None else subscription.meter
        if answer.outcome == DELIVERED:
            meter.delivered += delivery.kind == "Notification"
            outcome = DELIVERED
        else:
            outcome = FAILED
            delay = None if answer.outcome == REFUSED else retries.delay(delivery.attempt)
            if delay is not None:
                await self._ask(_again(lane, handle, max(delay, answer.retry_after_ms or 0)))
                return RETRY
            if delivery.kind == "Notification":
                buried = subscription is not None and await self._bury(subscription, delivery)
                if buried is None:
                    await self._ask(_again(lane, handle, NO_ROOM))
                    return RETRY
                meter.dead_lettered += buried
                meter.failed += not buried
                outcome = DEAD_LETTERED if buried else FAILED
        await self._ask(q.DeleteMessage(queue=lane.queue, handles=[handle]))
        return outcome

    async def _bury(self, subscription: Subscription, delivery: Delivery) -> bool | None:
        """Send it to the dead-letter queue, raw or in the envelope, as it would have been delivered. False:
        there is none, or none that would ever take it; None: not now."""
        if subscription.letters is None:
            return False
        if delivery.raw:
            entry = q.SendEntry(raw_body(delivery), attributes=raw_attributes(delivery) or None)
        else:
            entry = q.SendEntry(msgspec.json.encode(envelope(delivery)).decode())
        answer = await self._ask(q.SendMessage(queue=subscription.letters, entries=[entry]))
        said = answer if isinstance(answer, RopewayError) else answer[0]
        if isinstance(said, (OverLimit, ServiceUnavailable)):
            return None
        return not isinstance(said, RopewayError)

    async def _ask(self, action: Action) -> Any:
        reply = Awaited()
        self._kernel.submit(action, reply)
        return await reply.answer


def _again(lane: Lane, handle: bytes, later: int) -> q.ChangeMessageVisibility:
    """A message is to come again after so many milliseconds."""
    entry = q.VisibilityEntry(handle, visibility_timeout=later)
    return q.ChangeMessageVisibility(queue=lane.queue, entries=[entry])


def _policy(topic: Topic, subscription: Subscription) -> DeliveryPolicy | None:
    """A web hook's; others have none."""
    if subscription.protocol not in _WEB:
        return None
    return delivery_policy.effective(
        subscription.attributes.delivery_policy, topic.attributes.delivery_policy
    )


def _retries(protocol: str, policy: DeliveryPolicy | None) -> Retries:
    """When what failed is tried again: of web hooks by their policy."""
    if policy is None:
        return delivery_policy.BY_PROTOCOL[protocol]
    return Retries.of(policy.healthy_retry_policy or delivery_policy.Healthy())
