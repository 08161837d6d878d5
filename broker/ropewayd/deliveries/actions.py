"""The action on deliveries. It changes no state."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from ropewayd.topics.actions import TopicName
from ropewayd.vocabulary.action import Action
from ropewayd.vocabulary.errors import NotFound, OverLimit, RopewayError


class ListDeliveries(Action):
    """List the latest attempts to deliver what was published to a topic, oldest first, in pages. They are a
    log in the daemon's memory: a restart begins an empty one."""

    code: ClassVar[int] = 135
    answer: ClassVar[str] = (
        "A map: `deliveries` (a list of maps: `number`, which rises, `at`, when the attempt ended, "
        "`subscription` (its ARN), `protocol`, `endpoint` (without user, password and query, of a phone "
        "number the last digits), `message` (its id, a text), `kind` (Notification, or what asks a "
        "subscriber to confirm), `attempt` (1 is the first), `outcome` (`delivered`; `retry`: it will be "
        "tried again; `dead-lettered` or `failed`: given up), `code` (the answer's status, nil if none "
        "came), `duration` (milliseconds), `answer` (its beginning, or what went wrong)), `next` (what to "
        "give as `after`, nil at the end)."
    )
    errors: ClassVar[tuple[type[RopewayError], ...]] = (NotFound, OverLimit)

    topic: TopicName
    failed: Annotated[bool, Meta(description="Only those that did not deliver.")] = False
    after: Annotated[int, Meta(ge=0, le=2**62, description="Only those with higher numbers.")] = 0
    limit: Annotated[int, Meta(ge=1, le=1000, description="Attempts in one answer.")] = 1000
    wait: Annotated[int, Meta(ge=0, le=20_000, description="If there is none, wait so long for one.")] = 0
