"""When a delivery that failed is tried again: phases, each with its number of retries and its delays.

Functions and streams belong to the same owner, and are tried for weeks; letters, text messages and mobile
push for hours. Of http and https a delivery policy says it, the subscription's before the topic's; by
default three retries, 20 seconds apart. The numbers are AWS's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

_Count = Annotated[int, Meta(ge=0, le=100)]
_Delay = Annotated[int, Meta(ge=1, le=3600)]
MAX_TOTAL: Final = 3_600
"""Seconds that all retries of a delivery policy may take together."""
DEFAULT_TYPE: Final = "text/plain; charset=UTF-8"
TYPES: Final = frozenset(
    (
        "application/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/soap+xml",
        "application/atom+xml",
        "text/css",
        "text/csv",
        "text/html",
        "text/plain",
        "text/xml",
    )
)


class Healthy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """healthyRetryPolicy. Seconds, and numbers of retries."""

    min_delay_target: _Delay = 20
    max_delay_target: _Delay = 20
    num_retries: _Count = 3
    num_no_delay_retries: _Count = 0
    num_min_delay_retries: _Count = 0
    num_max_delay_retries: _Count = 0
    backoff_function: Literal["linear", "arithmetic", "geometric", "exponential"] = "linear"

    def problem(self) -> str | None:
        """What is wrong with the numbers together."""
        if self.min_delay_target > self.max_delay_target:
            return "minDelayTarget is larger than maxDelayTarget"
        if self.num_no_delay_retries + self.num_min_delay_retries + self.num_max_delay_retries > (
            self.num_retries
        ):
            return "numRetries is smaller than the retries of the phases together"
        if sum(Retries.of(self).delays()) > MAX_TOTAL * 1000:
            return f"the retries together take longer than {MAX_TOTAL} seconds"
        return None


class Throttle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """throttlePolicy."""

    max_receives_per_second: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """requestPolicy."""

    header_content_type: str = DEFAULT_TYPE


class DeliveryPolicy(msgspec.Struct, frozen=True, rename="camel"):
    """A subscription's, or what a topic says for all of http and https."""

    healthy_retry_policy: Healthy | None = None
    throttle_policy: Throttle | None = None
    request_policy: Request | None = None
    sickly_retry_policy: Any = None
    guaranteed: bool = False


class _Defaults(msgspec.Struct, frozen=True, rename="camel"):
    default_healthy_retry_policy: Healthy | None = None
    default_throttle_policy: Throttle | None = None
    default_request_policy: Request | None = None
    disable_subscription_overrides: bool = False


class _TopicPolicy(msgspec.Struct, frozen=True):
    http: _Defaults = _Defaults()


def read(text: str) -> DeliveryPolicy:
    """A subscription's. Raises ValueError, which says what is wrong."""
    policy = msgspec.json.decode(text, type=DeliveryPolicy)
    healthy, request = policy.healthy_retry_policy, policy.request_policy
    problem = None if healthy is None else healthy.problem()
    if problem is not None:
        raise ValueError(problem)
    if request is not None and request.header_content_type.partition(";")[0].strip() not in TYPES:
        raise ValueError("headerContentType is none of the types that there are")
    return policy


def effective(subscription: str | None, topic: str | None) -> DeliveryPolicy:
    """What counts for a subscription of http or https. What cannot be read counts as not said."""
    try:
        defaults = msgspec.json.decode(topic or "{}", type=_TopicPolicy).http
    except ValueError:
        defaults = _Defaults()
    own = DeliveryPolicy()
    if subscription is not None and not defaults.disable_subscription_overrides:
        own = read(subscription)
    return DeliveryPolicy(
        own.healthy_retry_policy or defaults.default_healthy_retry_policy or Healthy(),
        own.throttle_policy or defaults.default_throttle_policy or Throttle(),
        own.request_policy or defaults.default_request_policy or Request(),
    )


class Retries(msgspec.Struct, frozen=True):
    """Four phases. Milliseconds, and numbers of retries."""

    at_once: int
    soon: int
    backing_off: int
    late: int
    least: int
    most: int
    function: str = "exponential"

    @classmethod
    def of(cls, policy: Healthy) -> Retries:
        """What a delivery policy says."""
        at_once, soon = policy.num_no_delay_retries, policy.num_min_delay_retries
        late = policy.num_max_delay_retries
        return cls(
            at_once,
            soon,
            policy.num_retries - at_once - soon - late,
            late,
            policy.min_delay_target * 1000,
            policy.max_delay_target * 1000,
            policy.backoff_function,
        )

    @property
    def total(self) -> int:
        """How many retries there are."""
        return self.at_once + self.soon + self.backing_off + self.late

    def delay(self, attempt: int) -> int | None:
        """How long to wait after this attempt, the first being 1, has failed; None: give up."""
        place = attempt - 1
        if place < self.at_once:
            return 0
        place -= self.at_once
        if place < self.soon:
            return self.least
        place -= self.soon
        if place < self.backing_off:
            return self._back_off(place)
        return self.most if place - self.backing_off < self.late else None

    def _back_off(self, place: int) -> int:
        """From the least to the most delay; a straight line, or slower at first."""
        steps = self.backing_off - 1
        if steps <= 0 or self.least == self.most:
            return self.least
        part = place / steps
        if self.function == "linear":
            grown = part
        elif self.function == "arithmetic":
            grown = place * (place + 1) / (steps * (steps + 1))
        elif self.function == "geometric":
            return round(self.least * math.pow(self.most / self.least, part))
        else:
            grown = float((1 << place) - 1) / ((1 << steps) - 1)
        return round(self.least + (self.most - self.least) * grown)

    def delays(self) -> list[int]:
        """All of them, in order."""
        return [delay for n in range(1, self.total + 1) if (delay := self.delay(n)) is not None]


OWN: Final = Retries(at_once=3, soon=2, backing_off=10, late=100_000, least=1_000, most=20_000)
"""Of what the same owner has: functions and streams. AWS's."""
OTHERS: Final = Retries(at_once=0, soon=2, backing_off=10, late=38, least=10_000, most=600_000)
"""Of letters, text messages and mobile push. AWS's."""
BY_PROTOCOL: Final[Mapping[str, Retries]] = {
    "lambda": OWN,
    "firehose": OWN,
    "email": OTHERS,
    "email-json": OTHERS,
    "sms": OTHERS,
    "application": OTHERS,
}
