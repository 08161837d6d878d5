"""Every action there is, by the number the binary protocol gives it and by name. Whatever describes or checks
actions (references, clients, gateways) starts here."""

from __future__ import annotations

from ropewayd.deliveries import actions as deliveries
from ropewayd.queues import actions as queues
from ropewayd.texting import actions as texting
from ropewayd.topics import actions as topics
from ropewayd.upkeep import actions as upkeep
from ropewayd.vocabulary.action import Action

_FAMILIES = (queues, topics, texting, deliveries, upkeep)

ACTIONS: dict[int, type[Action]] = {
    kind.code: kind
    for family in _FAMILIES
    for kind in vars(family).values()
    if isinstance(kind, type) and issubclass(kind, Action) and kind is not Action and kind.code > 0
}
"""A code above 0 is a caller's; the daemon's own actions have none."""

BY_NAME: dict[str, type[Action]] = {kind.__name__: kind for kind in ACTIONS.values()}
